"""Changes to a graph that move work into it which a server cannot do: a factor a channel, softmax.

Names of inputs and outputs stay; a copy is changed, and the original is left alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import helper, numpy_helper

from inference_core.errors import BadInput

_PREFIX = "linewarden_"
_SOFTMAX_OF_ONE_AXIS = 13
"""Before this operator set, Softmax flattened all axes from ``axis`` on."""


def scale_channels(
    graph: onnx.ModelProto, input_name: str, factors: Sequence[float], axis: int
) -> onnx.ModelProto:
    """``graph`` with its 4-dimensional input multiplied by a factor for each channel first."""
    changed = onnx.ModelProto()
    changed.CopyFrom(graph)
    shape = [1, 1, 1, 1]
    shape[axis] = len(factors)
    factor = np.asarray(factors, np.float32).reshape(shape)
    scaled = f"{_PREFIX}scaled"
    for node in changed.graph.node:
        for index, name in enumerate(node.input):
            if name == input_name:
                node.input[index] = scaled
    changed.graph.initializer.append(numpy_helper.from_array(factor, f"{_PREFIX}factors"))
    nodes = [helper.make_node("Mul", [input_name, f"{_PREFIX}factors"], [scaled], scaled)]
    nodes.extend(changed.graph.node)
    del changed.graph.node[:]
    changed.graph.node.extend(nodes)
    return changed


def activate_output(
    graph: onnx.ModelProto, output_name: str, activation: str, axis: int
) -> onnx.ModelProto:
    """``graph`` with ``softmax`` or ``sigmoid`` behind one output."""
    changed = onnx.ModelProto()
    changed.CopyFrom(graph)
    raw = f"{_PREFIX}raw"
    for node in changed.graph.node:
        for names in (node.input, node.output):
            for index, name in enumerate(names):
                if name == output_name:
                    names[index] = raw
    if activation == "sigmoid":
        node = helper.make_node("Sigmoid", [raw], [output_name], f"{_PREFIX}sigmoid")
    else:
        _check_softmax(graph)
        node = helper.make_node("Softmax", [raw], [output_name], f"{_PREFIX}softmax", axis=axis)
    changed.graph.node.append(node)
    return changed


def _check_softmax(graph: onnx.ModelProto) -> None:
    opset = next(entry.version for entry in graph.opset_import if entry.domain in {"", "ai.onnx"})
    if opset < _SOFTMAX_OF_ONE_AXIS:
        raise BadInput(
            f"the graph uses operator set {opset}, whose softmax cannot be added to it; "
            f"export the model with operator set {_SOFTMAX_OF_ONE_AXIS} or later"
        )
