"""INT8 without a golden set: quantised by real pictures, and compared with the float model."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from inference_core.contract.manifest import ModelManifest
from inference_core.contract.words import Precision, RuntimeName
from inference_core.datasets import Dataset
from inference_core.decode.lookup import decode
from inference_core.errors import CoreError
from inference_core.image import prepare, read_picture
from inference_core.optimize.agreement import measure_agreement
from inference_core.optimize.builders.base import Source
from inference_core.optimize.convert import get_builder
from inference_core.optimize.feed import Feed
from inference_core.optimize.fold import fold
from inference_core.optimize.pictures import hold_out
from inference_core.optimize.publish import write_whole
from inference_core.runtimes.base import Session, SessionOptions
from inference_core.runtimes.lookup import get_runtime

Tell = Callable[[float, str], None]
"""Takes the share that is done, 0 to 1, and what goes on."""


@dataclass(frozen=True)
class Quantized:
    """What was made, and how far it can be trusted."""

    artifact: str
    manifest: str
    runtime: str
    calibration_pictures: int
    float_bytes: int
    int8_bytes: int
    agreement: float | None
    """With the float model on pictures held out, 0 to 1; None where it cannot be told here."""
    agreement_pictures: int
    note: str = ""
    """Why the agreement is not known."""


def quantize(
    model: Path,
    manifest: ModelManifest,
    pictures: Dataset,
    *,
    runtime: RuntimeName,
    target: Path,
    tell: Tell | None = None,
    threads: int = 2,
) -> Quantized:
    """Write ``target``, and its manifest beside it, so that it runs at once.

    ``manifest`` has its alphabet written out. Raises ``ConversionFailed``, and
    ``RuntimeUnavailable`` where nothing is built for this runtime.
    """
    tell = tell or _tell_nobody
    calibration, held = hold_out(pictures)
    beside = target.with_name(f"{target.stem}.manifest.json")
    with tempfile.TemporaryDirectory(prefix="quantize-") as folder:
        folded = Path(folder, "folded.onnx")
        draft = Path(folder, f"int8{target.suffix}")
        tell(0.05, "folding constants")
        fold(model, manifest, folded)
        tell(0.2, f"quantising with {len(calibration.samples)} pictures")
        source = Source(folded, manifest, Feed(calibration, manifest), platform.machine(), model)
        get_builder(runtime).build(source, Precision.INT8, draft)
        float_bytes, data = folded.stat().st_size, draft.read_bytes()
    write_whole(target, data)
    write_whole(beside, manifest.to_json())
    tell(0.7, f"comparing with the float model on {len(held.samples)} pictures")
    options = SessionOptions(threads=threads)
    try:
        other = get_runtime(runtime).load(target, manifest, options)
    except CoreError as error:
        agreement, note = None, f"the artifact does not run here: {error}"
    else:
        reference = get_runtime(RuntimeName.ONNXRUNTIME).load(model, manifest, options)
        agreement, note = _compare(reference, other, manifest, held), ""
    return Quantized(
        artifact=str(target),
        manifest=str(beside),
        runtime=runtime.value,
        calibration_pictures=len(calibration.samples),
        float_bytes=float_bytes,
        int8_bytes=len(data),
        agreement=agreement,
        agreement_pictures=len(held.samples),
        note=note,
    )


def _tell_nobody(share: float, what: str) -> None:
    del share, what


def _compare(reference: Session, other: Session, manifest: ModelManifest, held: Dataset) -> float:
    shares = [_agree(reference, other, manifest, sample.image) for sample in held.samples]
    reference.close()
    other.close()
    return round(sum(shares) / len(shares), 4)


def _agree(reference: Session, other: Session, manifest: ModelManifest, image: Path) -> float:
    """A model that breaks on a picture agrees with nothing."""
    prepared = prepare(read_picture(image), manifest)
    inputs = {manifest.inputs[0].name: prepared.tensor}
    expected = decode(reference.run(inputs), manifest, prepared.transform)
    try:
        found = decode(other.run(inputs), manifest, prepared.transform)
    except CoreError:
        return 0.0
    return measure_agreement(expected, found)
