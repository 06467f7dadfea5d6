"""Asks the installed runtimes which operators they take; writes ``operators.json`` anew.

``python -m inference_core.inspection.probe`` on a machine that has all of them. Each operator is
offered alone, in a process of its own, because some importers crash on what they do not expect.
A runtime that objects to its attributes or shapes knows the operator; one that has no rule for
it does not.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper

from inference_core.contract.words import RuntimeName
from inference_core.errors import RuntimeUnavailable
from inference_core.runtimes.lookup import get_runtime

Loader = Callable[[bytes], str]
"""Loads a graph; what it says of it, empty where it loads."""

_OPSET, _OLDER_OPSET = 21, 9
_UNKNOWN = (
    "No conversion rule found for operations",  # OpenVINO
    "Can't create layer",  # OpenCV DNN
    "it has no importer",  # TensorRT, by _read_errors below
)
TABLES = Path(__file__).with_name("operators.json")
_MAX_ANSWER = 60_000


def probe(name: RuntimeName) -> tuple[str, int, list[str]]:
    """The version of a runtime, the newest opset that it loads, and the operators it lacks."""
    lacks = find_lacks(name, _operators())
    return _version(name), _newest_opset(_LOADERS[name]), sorted(lacks)


def find_lacks(name: RuntimeName, among: Iterable[str]) -> set[str]:
    """Those of the operators that the runtime has no rule for."""
    if name is RuntimeName.ONNXRUNTIME:
        return set(among) - _kernels()
    return {op for op in among if _is_unknown(_LOADERS[name], _single(op))}


def _version(name: RuntimeName) -> str:
    if name is RuntimeName.TENSORRT:
        from inference_core.tensorrt.library import find_library

        return find_library().title
    return get_runtime(name).version()


def _operators() -> set[str]:
    return {schema.name for schema in onnx.defs.get_all_schemas() if not schema.domain}


def _single(op: str, opset: int = _OPSET) -> bytes:
    """A graph of this operator alone, its inputs floats; deprecated ones are of old opsets."""
    if not onnx.defs.has(op, opset):
        opset = onnx.defs.onnx_opset_version()
    schema = onnx.defs.get_schema(op, max_inclusive_version=opset, domain="")
    if schema.deprecated:
        opset = _OLDER_OPSET
        schema = onnx.defs.get_schema(op, max_inclusive_version=opset, domain="")
    ins = [f"in{n}" for n in range(max(1, schema.min_input) if schema.max_input else 0)]
    outs = [f"out{n}" for n in range(max(1, schema.min_output))]
    graph = helper.make_graph(
        [helper.make_node(op, ins, outs, name="probe")],
        "probe",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 8, 8]) for name in ins],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in outs],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    return bytes(model.SerializeToString())


def _newest_opset(load: Loader) -> int:
    newest = onnx.defs.onnx_opset_version()
    shaped = onnx.load_from_string(_single("Relu"))
    shaped.graph.output[0].CopyFrom(
        helper.make_tensor_value_info("out0", TensorProto.FLOAT, [1, 3, 8, 8])
    )
    for opset in range(newest, 0, -1):
        shaped.opset_import[0].version = opset
        if _in_child(load, shaped.SerializeToString()) == "":
            return opset
    return 0


def _is_unknown(load: Loader, graph: bytes) -> bool:
    said = _in_child(load, graph)
    return said is not None and any(words in said for words in _UNKNOWN)


def _in_child(load: Loader, graph: bytes) -> str | None:
    """What ``load`` says, or None where it took its process with it."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        os.write(writing, load(graph).encode()[:_MAX_ANSWER])
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    return said.decode(errors="replace") if status == 0 else None


def _kernels() -> set[str]:
    """Those of the processor, and what ONNX itself spells out in other operators."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    named = {
        kernel.op_name
        for kernel in state.get_all_opkernel_def()
        if kernel.domain in {"", "ai.onnx"} and kernel.provider == "CPUExecutionProvider"
    }
    schemas = [schema for schema in onnx.defs.get_all_schemas() if not schema.domain]
    composed = {schema.name for schema in schemas if _is_composed(schema)}
    return named | composed | {"Constant"}


def _is_composed(schema: Any) -> bool:
    """Whether ONNX gives a body of other operators; its stubs do not know these fields."""
    return bool(schema.has_function or schema.has_context_dependent_function)


def _load_onnxruntime(graph: bytes) -> str:
    import onnxruntime

    try:
        onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001 - its own kinds, which it does not export
        return str(error) or type(error).__name__
    return ""


def _load_openvino(graph: bytes) -> str:
    import openvino

    try:
        openvino.Core().read_model(graph)
    except RuntimeError as error:
        return str(error)
    return ""


def _load_opencv(graph: bytes) -> str:
    import cv2
    import numpy as np

    try:
        cv2.dnn.readNetFromONNX(np.frombuffer(graph, np.uint8))
    except cv2.error as error:
        return str(error)
    return ""


def _load_tensorrt(graph: bytes) -> str:
    from inference_core.tensorrt.library import find_library

    library = find_library()
    api = library.api
    typed = 1 << int(api.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    builder = api.Builder(library.log)
    network = builder.create_network(typed)
    parser = api.OnnxParser(network, library.log)
    return "" if parser.parse(graph) else _read_errors(parser)


def _read_errors(parser: object) -> str:
    """An operator without an importer stops at a check of its own name, or looks for a plugin."""
    errors = [parser.get_error(n) for n in range(parser.num_errors)]  # type: ignore[attr-defined]
    absent = any(
        (error.func().startswith("check") and error.desc().strip() == "false")
        or error.func() == "checkFallbackPluginImporter"
        for error in errors
    )
    return "it has no importer" if absent else "it objects to the node"


_LOADERS: dict[RuntimeName, Loader] = {
    RuntimeName.ONNXRUNTIME: _load_onnxruntime,
    RuntimeName.OPENVINO: _load_openvino,
    RuntimeName.OPENCV_DNN: _load_opencv,
    RuntimeName.TENSORRT: _load_tensorrt,
}


def main() -> None:
    """Writes the tables of the runtimes that are here; those of the others are gone."""
    tables = {}
    for name in _LOADERS:
        try:
            version, newest, lacks = probe(name)
        except RuntimeUnavailable as error:
            sys.stderr.write(f"{name} is left out: {error}\n")
            continue
        tables[str(name)] = {"version": version, "newest_opset": newest, "lacks": lacks}
    document = {"offered": sorted(_operators()), "runtimes": tables}
    TABLES.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
