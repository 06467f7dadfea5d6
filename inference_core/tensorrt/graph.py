"""What of a graph TensorRT does not take, found before its parser does and said in a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from inference_core.optimize.problem import ConversionFailed
from inference_core.tensorrt.library import Library

_MAX_PROBLEMS_TOLD = 5
_QUANTISED = {"QuantizeLinear", "DequantizeLinear"}


def check_quantisation(graph: Path) -> None:
    """Raises ``ConversionFailed`` for Q/DQ that TensorRT refuses: uint8, offsets, int32 biases."""
    try:
        model = onnx.load(str(graph))
    except Exception as error:  # protobuf's decoder raises its own, which onnx does not name
        raise ConversionFailed(f"{graph.name} is no ONNX file: {error}") from error
    if not model.graph.output:
        raise ConversionFailed(f"{graph.name} is no ONNX file: it has no outputs")
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type in _QUANTISED and (problem := _find_problem(node, constants)):
            raise ConversionFailed(
                f"TensorRT takes Q/DQ of int8 with zero points of 0 only, but {problem}; quantise "
                "the float model for a TensorRT profile instead"
            )


def parse_graph(library: Library, network: Any, graph: Path) -> None:
    """Fill ``network``. Raises ``ConversionFailed`` with all that the parser found."""
    parser = library.api.OnnxParser(network, library.log)
    if parser.parse_from_file(str(graph)):
        return
    problems = [_describe(parser.get_error(index)) for index in range(parser.num_errors)]
    told = "; ".join(dict.fromkeys(problems[:_MAX_PROBLEMS_TOLD]))
    more = len(problems) - _MAX_PROBLEMS_TOLD
    rest = f" (and {more} more)" if more > 0 else ""
    raise ConversionFailed(f"{library.title} cannot read the graph: {told}{rest}")


def _find_problem(node: onnx.NodeProto, constants: dict[str, TensorProto]) -> str | None:
    data = constants.get(node.input[0])
    if data is not None and data.data_type == TensorProto.INT32:
        return f"{node.name!r} keeps a bias in int32"
    zero = constants.get(node.input[2]) if len(node.input) > 2 else None
    if zero is None:
        return None
    if zero.data_type == TensorProto.UINT8:
        return f"{node.name!r} uses uint8"
    if zero.data_type == TensorProto.INT8 and np.any(numpy_helper.to_array(zero)):
        return f"{node.name!r} has a zero point that is not 0"
    return None


def _describe(error: Any) -> str:
    """For example "node 3 'conv' (Conv): stride is negative"."""
    words = " ".join(str(error.desc()).split())
    if error.node() < 0:
        return words
    name, operator = error.node_name(), error.node_operator()
    return f"node {error.node()} {name!r} ({operator}): {words}"
