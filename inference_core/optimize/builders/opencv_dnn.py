"""Artifacts for OpenCV DNN: the folded ONNX, for its importer computes no shapes."""

from __future__ import annotations

from pathlib import Path

from inference_core.contract.words import Precision
from inference_core.optimize.builders.base import Source
from inference_core.optimize.builders.onnxruntime import OnnxBuilder
from inference_core.optimize.problem import ConversionFailed


class OpenCvBuilder(OnnxBuilder):
    """As for ONNX Runtime, without fp16."""

    packages = ("onnx", "onnxruntime", "opencv-python-headless")

    def build(self, source: Source, precision: Precision, artifact: Path) -> None:
        """Write the ONNX file."""
        if precision is Precision.FP16:
            raise ConversionFailed("OpenCV DNN computes fp16 on no CPU of this kind")
        super().build(source, precision, artifact)


BUILDER = OpenCvBuilder()
