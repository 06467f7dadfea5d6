"""Artifacts for OpenVINO: IR as one ZIP, stored, so that a device can map it in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import openvino as ov

from inference_core.archive import pack
from inference_core.contract.words import Precision
from inference_core.optimize.builders.base import Source
from inference_core.optimize.problem import ConversionFailed
from inference_core.optimize.quantize import find_fragile_convolutions, quantize_openvino
from inference_core.runtimes.openvino import WEIGHTS_NAME, XML_NAME


class OpenVinoBuilder:
    """IR in fp32, with weights in fp16, or quantised by NNCF."""

    packages = ("onnx", "onnxruntime", "openvino", "nncf")
    suffix = ".zip"

    def build(self, source: Source, precision: Precision, artifact: Path) -> None:
        """Write the ZIP of ``model.xml`` and ``model.bin``."""
        try:
            # Core.read_model, not convert_model: the latter brings telemetry with it.
            model = ov.Core().read_model(str(source.folded))
        except RuntimeError as error:
            raise ConversionFailed(f"OpenVINO cannot read the graph: {error}") from error
        if precision is Precision.INT8:
            fragile = find_fragile_convolutions(onnx.load(str(source.folded)))
            model = quantize_openvino(model, source.calibration, fragile)
        _pack(model, artifact, halve_weights=precision is Precision.FP16)


def _pack(model: Any, artifact: Path, *, halve_weights: bool) -> None:
    xml = artifact.with_name(f"{artifact.stem}-{XML_NAME}")
    weights = xml.with_suffix(".bin")
    ov.save_model(model, str(xml), compress_to_fp16=halve_weights)
    pack(artifact, {XML_NAME: xml.read_bytes(), WEIGHTS_NAME: weights.read_bytes()})
    xml.unlink()
    weights.unlink()


BUILDER = OpenVinoBuilder()
