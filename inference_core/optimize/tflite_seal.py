"""Writes notes and the ONNX's names into a TFLite file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from inference_core.optimize.problem import ConversionFailed
from inference_core.runtimes.litert_notes import NOTES_KEY, SIGNATURE_KEY, Notes, TensorNote

_ALIGNMENT = 16
"""Of buffers with weights, as TFLite's schema asks; Python's builder forgets it."""


class _Builder(flatbuffers.Builder):  # type: ignore[misc]  # flatbuffers ships no types
    def StartVector(self, elem_size: int, count: int, alignment: int) -> Any:  # noqa: N802
        """Byte vectors are the buffers."""
        return super().StartVector(elem_size, count, _ALIGNMENT if elem_size == 1 else alignment)


def seal(data: bytes, notes: Notes) -> bytes:
    """The same graph with ``notes``, and a signature that names the tensors as the ONNX did.

    Raises ``ConversionFailed`` where the graph has not as many inputs and outputs as the notes.
    """
    model = schema.ModelT.InitFromPackedBuf(data, 0)
    graph = model.subgraphs[0]
    _check_count("inputs", graph.inputs, notes.inputs)
    _check_count("outputs", graph.outputs, notes.outputs)
    model.signatureDefs = [_sign(graph, notes)]
    model.description = "Linewarden"
    _add_metadata(model, notes.to_json())
    builder = _Builder(len(data) + _ALIGNMENT)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def read_shapes(data: bytes) -> tuple[list[list[int]], list[list[int]]]:
    """Shapes of inputs and outputs in the order of the graph."""
    graph = schema.ModelT.InitFromPackedBuf(data, 0).subgraphs[0]
    return _list_shapes(graph, graph.inputs), _list_shapes(graph, graph.outputs)


def _list_shapes(graph: Any, indices: Sequence[int]) -> list[list[int]]:
    return [np.asarray(graph.tensors[index].shape, int).tolist() for index in indices]


def _check_count(kind: str, found: Sequence[int], noted: Sequence[TensorNote]) -> None:
    if len(found) != len(noted):
        raise ConversionFailed(f"the converted graph has {len(found)} {kind}, not {len(noted)}")


def _sign(graph: Any, notes: Notes) -> Any:
    signature = schema.SignatureDefT()
    signature.signatureKey = SIGNATURE_KEY
    signature.subgraphIndex = 0
    signature.inputs = _map(notes.inputs, graph.inputs)
    signature.outputs = _map(notes.outputs, graph.outputs)
    return signature


def _map(notes: Sequence[TensorNote], indices: Sequence[int]) -> list[Any]:
    maps = []
    for note, index in zip(notes, indices, strict=True):
        entry = schema.TensorMapT()
        entry.name, entry.tensorIndex = note.name, int(index)
        maps.append(entry)
    return maps


def _add_metadata(model: Any, content: bytes) -> None:
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(content, np.uint8)
    model.buffers.append(buffer)
    entry = schema.MetadataT()
    entry.name, entry.buffer = NOTES_KEY, len(model.buffers) - 1
    others = [item for item in model.metadata or [] if _name(item) != NOTES_KEY]
    model.metadata = [*others, entry]


def _name(entry: Any) -> str:
    return entry.name.decode() if isinstance(entry.name, bytes) else str(entry.name)
