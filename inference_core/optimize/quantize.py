"""INT8 by static quantisation: ONNX Runtime's QDQ for ONNX artifacts, NNCF for OpenVINO."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
from onnx import version_converter
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.quant_utils import add_pre_process_metadata

from inference_core.optimize.feed import Feed
from inference_core.optimize.problem import ConversionFailed
from inference_core.runtimes.base import Array

_PER_CHANNEL_OPSET = 13
_SYMMETRIC = {"ActivationSymmetric": True, "WeightSymmetric": True, "QuantizeBias": False}


class _Reader(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime ships no types
    """What ONNX Runtime's calibrators ask for: one more input, or None at the end."""

    def __init__(self, feed: Feed) -> None:
        self._inputs: Iterator[dict[str, Array]] = iter(feed)

    def get_next(self) -> dict[str, Array] | None:
        """The next input, or None."""
        return next(self._inputs, None)


def quantize_onnx(
    folded: Path, feed: Feed, quantized: Path, *, signed: bool, symmetric: bool = False
) -> None:
    """Write ``folded`` with Q/DQ pairs around its convolutions, weights per channel.

    Convolutions hold most of the work; quantising all operators has cost detectors every box.
    ``signed`` activations suit ARM's dot products, unsigned ones x86's VNNI. ``symmetric`` is
    what TensorRT reads: zero points of 0, and biases that stay in float.
    """
    model = _with_opset_for_channels(onnx.load(str(folded)))
    add_pre_process_metadata(model)  # folding has done it; else the quantiser asks for it
    try:
        quantize_static(
            model,
            str(quantized),
            _Reader(feed),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            nodes_to_exclude=find_fragile_convolutions(model),
            per_channel=True,
            activation_type=QuantType.QInt8 if signed else QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            extra_options=_SYMMETRIC if symmetric else {},
        )
    except Exception as error:
        raise ConversionFailed(f"ONNX Runtime cannot quantise the graph: {error}") from error


def quantize_openvino(model: Any, feed: Feed, fragile: list[str]) -> Any:
    """An ``openvino.Model`` quantised by NNCF; the given one may be changed."""
    nncf = _import_nncf()
    try:
        return nncf.quantize(
            model,
            nncf.Dataset(feed),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(feed),
            ignored_scope=nncf.IgnoredScope(names=fragile, validate=False),
        )
    except Exception as error:
        raise ConversionFailed(f"NNCF cannot quantise the graph: {error}") from error


def find_fragile_convolutions(model: onnx.ModelProto) -> list[str]:
    """Names of convolutions that stay in float: depthwise ones, and the last before an output.

    A depthwise convolution sums few products, so rounding does not average out (Krishnamoorthi,
    arXiv:1806.08342, section 3.2); the last one makes the scores themselves.
    """
    weights = {tensor.name: tensor.dims for tensor in model.graph.initializer}
    makers = {name: node for node in model.graph.node for name in node.output}
    fragile = set()
    for node in model.graph.node:
        if node.op_type == "Conv" and _groups(node) > 1 and weights.get(node.input[1]):
            fragile.add(node.name)
    for output in model.graph.output:
        maker = makers.get(output.name)
        if maker is not None and maker.op_type == "Conv":
            fragile.add(maker.name)
    return sorted(fragile)


def _groups(node: onnx.NodeProto) -> int:
    return next((int(a.i) for a in node.attribute if a.name == "group"), 1)


def _with_opset_for_channels(model: onnx.ModelProto) -> onnx.ModelProto:
    """A scale for each channel needs operator set 13: DequantizeLinear has no axis before."""
    opset = next(entry.version for entry in model.opset_import if entry.domain in {"", "ai.onnx"})
    if opset >= _PER_CHANNEL_OPSET:
        return model
    try:
        return version_converter.convert_version(model, _PER_CHANNEL_OPSET)
    except Exception as error:
        raise ConversionFailed(
            f"the graph uses operator set {opset} and cannot be lifted to {_PER_CHANNEL_OPSET}, "
            f"which INT8 needs: {error}"
        ) from error


def _import_nncf() -> Any:
    """NNCF takes a second to import, and only INT8 for OpenVINO needs it."""
    try:
        import nncf
    except ImportError as error:
        raise ConversionFailed(
            f"INT8 for OpenVINO needs NNCF ({error}); pip install 'linewarden[build]'"
        ) from error
    nncf.set_log_level(logging.ERROR)
    return nncf
