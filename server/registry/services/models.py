"""Models, and uploads of their versions."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.db import IntegrityError, transaction

from inference_core.contract.build import InspectionReport
from inference_core.contract.decoders import DECODERS_OF_TASK
from inference_core.contract.manifest import ModelManifest
from inference_core.contract.words import Task
from server.accounts import audit
from server.datasets.models import DatasetVersion, Purpose
from server.datasets.selectors import shared_images
from server.lib import blobs, clock
from server.lib.errors import Conflict, Invalid, TooLarge
from server.lib.messages import read_json
from server.registry.inspection import inspect_model
from server.registry.models import ModelVersion, VisionModel


def create_model(
    *,
    name: str,
    task: str,
    title: str,
    golden: DatasetVersion,
    calibration: DatasetVersion,
    actor: str,
) -> VisionModel:
    """A model with the sets that judge and calibrate it, which never change.

    Raises Invalid where a set is meant for something else or both share an image, Conflict where
    the name is taken.
    """
    _check_task(task)
    _check_sets(golden, calibration)
    try:
        return _create_model(
            actor, name=name, task=task, title=title, golden=golden, calibration=calibration
        )
    except IntegrityError:
        raise Conflict(f"There is a model {name!r} already.") from None


def upload_version(
    *,
    model: VisionModel,
    version: str,
    manifest: str,
    notes: str,
    chunks: Iterable[bytes],
    max_bytes: int,
    actor: str,
) -> ModelVersion:
    """Inspect an ONNX with its manifest in a sandboxed child, and only then store them.

    Raises Invalid with the manifest's errors or the inspection's code, TooLarge, or Conflict
    where this version, or this content, exists: nothing of what is there is lost.
    """
    parsed = read_json(ModelManifest, manifest)
    if parsed.task != model.task:
        raise Invalid(f"The manifest is for {parsed.task}, but {model.name} is for {model.task}.")
    _refuse_known_version(model, version)
    with tempfile.TemporaryDirectory(prefix="linewarden-upload-") as folder:
        path = Path(folder, "model.onnx")
        sha256 = _spool(chunks, path, max_bytes)
        _refuse_known_content(model, sha256, _digest(parsed))
        report = inspect_model(path, parsed)
        if report.sha256 != sha256:
            raise Invalid("The file changed while it was inspected; upload it again.")
        with path.open("rb") as file:
            blobs.put(iter(lambda: file.read(blobs.CHUNK_BYTES), b""), max_bytes=max_bytes)
    try:
        return _create_version(actor, parsed, report, model=model, version=version, notes=notes)
    except IntegrityError:
        # Two uploads at once: the other one was first.
        _refuse_known_version(model, version)
        _refuse_known_content(model, sha256, _digest(parsed))
        raise


@transaction.atomic
def _create_model(actor: str, **fields: Any) -> VisionModel:
    row = VisionModel.objects.create(**fields, created_at=clock.now())
    audit.record(
        actor=actor,
        action="create",
        subject="model",
        subject_id=row.name,
        after={"task": row.task, "golden": str(row.golden), "calibration": str(row.calibration)},
    )
    return row


@transaction.atomic
def _create_version(
    actor: str, manifest: ModelManifest, report: InspectionReport, **named: Any
) -> ModelVersion:
    row = ModelVersion.objects.create(
        **named,
        sha256=report.sha256,
        length=report.size_bytes,
        manifest_sha256=_digest(manifest),
        manifest_body=manifest.model_dump(mode="json", exclude_none=True),
        report=report.model_dump(mode="json"),
        licence=manifest.licence,
        created_at=clock.now(),
        created_by=actor,
    )
    audit.record(
        actor=actor,
        action="upload",
        subject="model_version",
        subject_id=f"{row.model.name}/{row.version}",
        after={"sha256": row.sha256, "manifest_sha256": row.manifest_sha256},
    )
    return row


def _digest(manifest: ModelManifest) -> str:
    return hashlib.sha256(manifest.to_json()).hexdigest()


def _spool(chunks: Iterable[bytes], path: Path, max_bytes: int) -> str:
    digest, length = hashlib.sha256(), 0
    with path.open("xb") as file:
        for chunk in chunks:
            length += len(chunk)
            if length > max_bytes:
                raise TooLarge(
                    f"The model is larger than the {max_bytes} bytes that are taken.",
                    max_bytes=max_bytes,
                )
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()


def _check_task(task: str) -> None:
    served = sorted(str(known) for known in DECODERS_OF_TASK)
    if task not in {str(known) for known in Task} or task not in served:
        raise Invalid(f"There is no decoder for the task {task!r}; there are: {', '.join(served)}.")


def _check_sets(golden: DatasetVersion, calibration: DatasetVersion) -> None:
    for dataset, purpose in ((golden, Purpose.GOLDEN), (calibration, Purpose.CALIBRATION)):
        if dataset.purpose != purpose:
            raise Invalid(f"{dataset} was uploaded for {dataset.purpose}, not for {purpose}.")
    shared = shared_images(calibration, golden)
    if shared:
        raise Invalid(
            f"{len(shared)} images of {calibration} are in {golden} too, first {shared[0]}: what "
            "calibrates must not judge. Take them out of the calibration set.",
            shared=shared[:20],
        )


def _refuse_known_version(model: VisionModel, version: str) -> None:
    if model.versions.filter(version=version).exists():
        raise Conflict(f"{model.name} has a version {version!r}; versions never change.")


def _refuse_known_content(model: VisionModel, sha256: str, manifest_sha256: str) -> None:
    known = model.versions.filter(sha256=sha256, manifest_sha256=manifest_sha256).first()
    if known is not None:
        raise Conflict(f"The same model and manifest are there already, as {known}.")
