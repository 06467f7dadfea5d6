"""Artifacts for ONNX Runtime: an ONNX file."""

from __future__ import annotations

import shutil
from pathlib import Path

import onnx

from inference_core.contract.words import Precision
from inference_core.optimize.builders.base import Source
from inference_core.optimize.problem import ConversionFailed
from inference_core.optimize.quantize import quantize_onnx


class OnnxBuilder:
    """The folded graph in fp32, in fp16 with float inputs and outputs, or with Q/DQ pairs."""

    packages: tuple[str, ...] = ("onnx", "onnxruntime")
    suffix = ".onnx"

    def build(self, source: Source, precision: Precision, artifact: Path) -> None:
        """Write the ONNX file."""
        if precision is Precision.FP32:
            shutil.copyfile(source.folded, artifact)
        elif precision is Precision.FP16:
            _halve(source.folded, artifact)
        else:
            signed = source.architecture == "aarch64"
            quantize_onnx(source.folded, source.calibration, artifact, signed=signed)


def _halve(folded: Path, artifact: Path) -> None:
    from onnxruntime.transformers.float16 import convert_float_to_float16

    try:
        # Callers feed and read float32 whatever the arithmetic, as the manifest says.
        halved = convert_float_to_float16(onnx.load(str(folded)), keep_io_types=True)
    except Exception as error:
        raise ConversionFailed(f"the graph cannot be turned to fp16: {error}") from error
    onnx.save(halved, str(artifact))


BUILDER = OnnxBuilder()
