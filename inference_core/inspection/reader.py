"""From a file to a parsed ModelProto: bounded, and nothing outside the file is opened."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # no stubs

from inference_core.inspection.problem import (
    MAX_DEPTH,
    MAX_GRAPHS,
    MAX_MODEL_BYTES,
    MAX_NODES,
    MAX_TENSORS,
    RefusedError,
)


def read_bytes(path: Path) -> bytes:
    """The whole file; ``OSError`` where it is no readable regular file, refused where too large."""
    # Non-blocking, because opening a FIFO that nobody writes to would wait for ever.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(f"{path} is not a regular file")
        data = file.read(MAX_MODEL_BYTES + 1)
    if len(data) > MAX_MODEL_BYTES:
        raise RefusedError("too_large", f"the file is larger than {MAX_MODEL_BYTES} bytes")
    return data


def parse(data: bytes, *, is_whole: bool = True) -> onnx.ModelProto:
    """Parse; refuse what is not one ONNX model, or keeps its weights elsewhere and should not."""
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError as error:
        raise RefusedError(
            "not_onnx", "the file is not an ONNX model, or it was cut short; upload it again"
        ) from error
    if not (model.ir_version and model.opset_import and model.graph.node):
        raise RefusedError("not_onnx", "the file holds no ONNX graph")
    if model.training_info:
        raise RefusedError(
            "not_onnx", "the file holds a training too; export the model for inference only"
        )
    _check_counts(model)
    _check_names_are_text(model)
    if is_whole:
        _check_weights_are_inside(model)
    return model


def graphs(model: onnx.ModelProto) -> Iterator[onnx.GraphProto]:
    """The main graph and every graph inside a node's attributes."""
    return (graph for graph, _ in _graphs_by_depth(model))


def _graphs_by_depth(model: onnx.ModelProto) -> Iterator[tuple[onnx.GraphProto, int]]:
    waiting = [(model.graph, 0)]
    while waiting:
        graph, depth = waiting.pop()
        yield graph, depth
        for node in graph.node:
            for attribute in node.attribute:
                inner = [attribute.g] if attribute.HasField("g") else []
                waiting.extend((found, depth + 1) for found in (*inner, *attribute.graphs))


def nodes(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    """Every node of every graph."""
    for graph in graphs(model):
        yield from graph.node


def stored_tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Every tensor whose values the file holds: initialisers and attributes, sparse ones too."""
    for graph in graphs(model):
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield from (sparse.values, sparse.indices)
        for node in graph.node:
            yield from _tensors_of_attributes(node)


def _tensors_of_attributes(node: onnx.NodeProto) -> Iterator[onnx.TensorProto]:
    for attribute in node.attribute:
        if attribute.HasField("t"):
            yield attribute.t
        yield from attribute.tensors
        sparse = [attribute.sparse_tensor] if attribute.HasField("sparse_tensor") else []
        for tensor in (*sparse, *attribute.sparse_tensors):
            yield from (tensor.values, tensor.indices)


def _check_counts(model: onnx.ModelProto) -> None:
    for count, (_, depth) in enumerate(_graphs_by_depth(model), start=1):
        if depth > MAX_DEPTH or count > MAX_GRAPHS:
            raise RefusedError(
                "too_large",
                f"graphs lie in graphs more than {MAX_DEPTH} deep, or are more than {MAX_GRAPHS}",
            )
    if sum(len(graph.node) for graph in graphs(model)) > MAX_NODES:
        raise RefusedError("too_large", f"the graph has more than {MAX_NODES} nodes")
    for count, _ in enumerate(stored_tensors(model), start=1):
        if count > MAX_TENSORS:
            raise RefusedError("too_large", f"the graph stores more than {MAX_TENSORS} tensors")


def _check_names_are_text(model: onnx.ModelProto) -> None:
    """Protobuf hands out bytes, or raises, where a string is not UTF-8; runtimes may not care."""
    try:
        are_text = all(isinstance(name, str) for name in _names(model))
    except UnicodeDecodeError:
        are_text = False
    if not are_text:
        raise RefusedError(
            "not_onnx", "a name in the graph is not text: the file is damaged; upload it again"
        )


def _names(model: onnx.ModelProto) -> Iterator[object]:
    yield from (model.producer_name, model.producer_version)
    for entry in model.metadata_props:
        yield from (entry.key, entry.value)
    for tensor in stored_tensors(model):
        yield tensor.name
    for graph in graphs(model):
        yield graph.name
        for value in (*graph.input, *graph.output, *graph.value_info):
            yield value.name
        for node in graph.node:
            yield from (node.op_type, node.domain, node.name, *node.input, *node.output)


def _check_weights_are_inside(model: onnx.ModelProto) -> None:
    for tensor in stored_tensors(model):
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            raise RefusedError(
                "external_data",
                f"weights of {tensor.name!r} lie outside the file; save the model as one file "
                "(onnx.save with save_as_external_data=False)",
            )
