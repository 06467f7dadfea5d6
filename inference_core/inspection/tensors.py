"""What a graph says of its own inputs and outputs."""

from __future__ import annotations

from collections.abc import Iterable

import onnx

from inference_core.contract.build import TensorFacts
from inference_core.inspection import rules

MAX_NAME = 200


def true_inputs(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    """Inputs that a caller must feed: before IR version 4 weights were listed as inputs too."""
    stored = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in stored]


def facts_of(values: Iterable[onnx.ValueInfoProto]) -> tuple[TensorFacts, ...]:
    """Names, shapes and types as the graph declares them."""
    return tuple(
        TensorFacts(
            name=clean(value.name, MAX_NAME),
            shape=rules.shape_of(value),
            dtype=rules.dtype_of(value),
        )
        for value in values
    )


def fix_shape(value: onnx.ValueInfoProto, shape: Iterable[int]) -> None:
    """Replace every declared dimension, open or not, by the given one."""
    declared = value.type.tensor_type.shape
    del declared.dim[:]
    for size in shape:
        declared.dim.add().dim_value = size


def clean(text: str, length: int) -> str:
    """Foreign text, cut short, without anything that moves a terminal's cursor."""
    return "".join(c if c.isprintable() else " " for c in text[:length])
