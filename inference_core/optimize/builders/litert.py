"""Artifacts for LiteRT: a TFLite file in fp32, with fp16 weights, or in int8 throughout."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import onnx

from inference_core.contract.words import Precision
from inference_core.errors import LoadFailed
from inference_core.optimize.builders.base import Source
from inference_core.optimize.edgetpu import EDGE_TPU, compile_for_edge_tpu, find_compiler
from inference_core.optimize.problem import ConversionFailed
from inference_core.optimize.tflite_convert import convert_onnx, halve, quantise, read_versions
from inference_core.optimize.tflite_layout import Layout, prove_layout
from inference_core.optimize.tflite_seal import read_shapes, seal
from inference_core.runtimes.base import Array
from inference_core.runtimes.litert_notes import Notes
from inference_core.runtimes.litert_probe import probe

_MAX_CALIBRATION_BYTES = 512 * 1024 * 1024
_MAX_METADATA_BYTES = 1024 * 1024


class LiteRtBuilder:
    """onnx2tf and ai-edge-quantizer in an environment of their own; the file names its tools."""

    packages: tuple[str, ...] = ("onnx", "onnxruntime", "ai-edge-litert")
    suffix = ".tflite"

    def build(self, source: Source, precision: Precision, artifact: Path) -> None:
        """Write the TFLite file."""
        _check_accelerator(source, precision)
        with tempfile.TemporaryDirectory(prefix="tflite-", dir=artifact.parent) as folder:
            artifact.write_bytes(_build(source, precision, Path(folder)))


def _check_accelerator(source: Source, precision: Precision) -> None:
    if source.accelerator is None:
        return
    if source.accelerator != EDGE_TPU:
        raise ConversionFailed(
            f"LiteRT knows the accelerator {EDGE_TPU!r}, not {source.accelerator!r}"
        )
    if precision is not Precision.INT8:
        raise ConversionFailed(f"the Edge TPU computes in int8 only, not in {precision}")
    find_compiler()


def _build(source: Source, precision: Precision, folder: Path) -> bytes:
    model = onnx.load(str(source.folded))
    converted = _convert(model, folder)
    layout = prove_layout(source.folded, converted, next(iter(source.calibration)))
    if precision is Precision.FP16:
        changed = halve(folder)
    elif precision is Precision.INT8:
        changed = quantise(folder, _list_inputs(source, layout))
    else:
        changed = converted
    notes = Notes(
        inputs=layout[0],
        outputs=layout[1],
        toolchain=read_versions(folder),
        metadata=_read_metadata(model),
    )
    data = _seal(changed, converted, notes)
    if source.accelerator == EDGE_TPU:
        plain = folder / "model.tflite"
        plain.write_bytes(data)
        data = _seal(compile_for_edge_tpu(plain, source.tell), converted, notes)
    return data


def _convert(model: onnx.ModelProto, folder: Path) -> Path:
    """onnx2tf writes operators of its own for those that TFLite lacks; LiteRT then refuses."""
    converted = convert_onnx(model, folder)
    try:
        probe(converted)
    except LoadFailed as error:
        raise ConversionFailed(f"the converted graph does not run: {error}") from error
    return converted


def _seal(changed: Path, converted: Path, notes: Notes) -> bytes:
    """The layout was proven of the float file, so the other must have the same tensors."""
    data = changed.read_bytes()
    if read_shapes(data) != read_shapes(converted.read_bytes()):
        raise ConversionFailed("the file's inputs and outputs changed with its arithmetic")
    return seal(data, notes)


def _list_inputs(source: Source, layout: Layout) -> Iterator[Array]:
    """As many calibration pictures as the disk is to take, turned as the file takes them."""
    note = layout[0][0]
    first = next(iter(source.calibration))[note.name]
    most = max(1, _MAX_CALIBRATION_BYTES // first.nbytes)
    feeds = islice(source.calibration, most)
    return (feed[note.name].transpose(note.axes).copy() for feed in feeds)


def _read_metadata(model: onnx.ModelProto) -> dict[str, str]:
    found = {item.key: item.value for item in model.metadata_props}
    size = sum(len(key) + len(value) for key, value in found.items())
    if size > _MAX_METADATA_BYTES:
        raise ConversionFailed(
            f"the model's metadata takes {size} characters; at most {_MAX_METADATA_BYTES} are kept"
        )
    return found


BUILDER = LiteRtBuilder()
