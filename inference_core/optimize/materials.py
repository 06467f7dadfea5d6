"""Reads what a build is given, and checks that it is what the job names."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from inference_core.contract.build import BuildJob
from inference_core.contract.manifest import ModelManifest
from inference_core.contract.words import RuntimeName
from inference_core.datasets import Dataset, check_disjoint, read_dataset
from inference_core.decode.ctc import resolve_alphabet
from inference_core.errors import BadInput
from inference_core.runtimes.base import Session, SessionOptions
from inference_core.runtimes.lookup import get_runtime


@dataclass(frozen=True)
class Materials:
    """The verified source and datasets. ``manifest`` has its alphabet written out."""

    model: Path
    manifest: ModelManifest
    reference: Session
    calibration: Dataset
    golden: Dataset


def gather(job: BuildJob) -> Materials:
    """Verify every digest of the job and load the reference: the source ONNX as it came.

    Raises ``BadInput`` or ``LoadFailed``.
    """
    model = Path(job.model_path)
    if hash_file(model) != job.source_sha256:
        raise BadInput(f"{model} is not the model with digest {job.source_sha256}")
    calibration = _read(job.calibration_dir, job.calibration_sha256, "calibration")
    golden = _read(job.golden_dir, job.golden_sha256, "golden")
    check_disjoint(calibration, golden)
    options = SessionOptions(threads=job.profile.threads)
    reference = get_runtime(RuntimeName.ONNXRUNTIME).load(model, job.manifest, options)
    manifest = resolve_alphabet(job.manifest, reference.metadata)
    return Materials(model, manifest, reference, calibration, golden)


def hash_file(path: Path) -> str:
    """SHA-256 of a file; ``BadInput`` where it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from error


def _read(folder: str, sha256: str, role: str) -> Dataset:
    dataset = read_dataset(Path(folder))
    if dataset.sha256 != sha256:
        raise BadInput(f"the {role} set in {folder} is not the one with digest {sha256}")
    return dataset
