"""Which runtimes take a graph: its opset and every operator, by tables of the runtimes' own.

No runtime is loaded. What a build folds away before any runtime sees it is passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import onnx

from inference_core.contract.base import Message
from inference_core.contract.build import RuntimeSupport
from inference_core.contract.words import RuntimeName
from inference_core.inspection import rules
from inference_core.inspection.reader import graphs
from inference_core.inspection.tensors import clean

_TITLES = {
    RuntimeName.ONNXRUNTIME: "ONNX Runtime",
    RuntimeName.OPENVINO: "OpenVINO",
    RuntimeName.OPENCV_DNN: "OpenCV DNN",
    RuntimeName.TENSORRT: "",  # its version says which TensorRT it is
}
_RANDOM = {"Bernoulli", "Multinomial", "RandomNormal", "RandomUniform"}
_OF_SHAPES = {"Shape", "Size"}
_MAX_NAME = 100


class _Table(Message):
    version: str
    newest_opset: int
    lacks: frozenset[str]


class _Tables(Message):
    """``operators.json``, which ``probe`` writes."""

    offered: frozenset[str]
    runtimes: dict[RuntimeName, _Table]


@cache
def _read_tables() -> _Tables:
    return _Tables.model_validate_json(Path(__file__).with_name("operators.json").read_bytes())


def judge_support(model: onnx.ModelProto) -> dict[str, RuntimeSupport]:
    """An answer for every real runtime. Shapes that ``model`` tells make more of it foldable."""
    left = list(_after_folding(model))
    opset = rules.opset_of(model)
    answers = {str(name): _answer(name, opset, left) for name in _TITLES}
    answers[str(RuntimeName.LITERT)] = RuntimeSupport(
        answer="unknown", why="onnx2tf, which converts for LiteRT, has no table; a build shows it."
    )
    return answers


def _answer(name: RuntimeName, opset: int, left: Iterable[tuple[str, str]]) -> RuntimeSupport:
    table = _read_tables().runtimes[name]
    title = f"{_TITLES[name]} {table.version}".strip()
    if opset > table.newest_opset:
        newest = table.newest_opset
        why = f"{title} loads operator sets up to {newest}; the graph asks for {opset}."
        return RuntimeSupport(answer="no", why=why)
    absent = next(((node, op) for node, op in left if op in table.lacks), None)
    if absent is not None:
        node, op = absent
        why = f"{title} has no {op}, which node {node!r} needs."
        return RuntimeSupport(answer="no", why=why, node=node, operator=op)
    foreign = next(((node, op) for node, op in left if op not in _read_tables().offered), None)
    if foreign is not None:
        node, op = foreign
        why = f"It was not tried whether {title} has {op}, which node {node!r} needs."
        return RuntimeSupport(answer="unknown", why=why, node=node, operator=op)
    return RuntimeSupport(answer="yes", why=f"{title} has every operator.")


def _after_folding(model: onnx.ModelProto) -> Iterator[tuple[str, str]]:
    """Name and operator of every node that a runtime will see."""
    main, *inner = graphs(model)
    constant = {tensor.name for tensor in main.initializer}
    fixed = _names_of_fixed_shape(main)
    for number, node in enumerate(main.node):
        if _folds(node, constant, fixed):
            constant.update(node.output)
        else:
            yield _called(node, number), node.op_type
    for graph in inner:
        for number, node in enumerate(graph.node):
            yield _called(node, number), node.op_type


def _folds(node: onnx.NodeProto, constant: set[str], fixed: set[str]) -> bool:
    if node.op_type in _RANDOM or any(a.HasField("g") or a.graphs for a in node.attribute):
        return False
    if node.op_type in _OF_SHAPES and node.input and node.input[0] in fixed:
        return True
    return all(name in constant for name in node.input if name)


def _names_of_fixed_shape(graph: onnx.GraphProto) -> set[str]:
    told = (*graph.input, *graph.output, *graph.value_info)
    return {
        value.name
        for value in told
        if value.type.tensor_type.HasField("shape") and None not in rules.shape_of(value)
    }


def _called(node: onnx.NodeProto, number: int) -> str:
    name = node.name or (node.output[0] if node.output else "")
    return clean(name, _MAX_NAME) or f"number {number}"
