"""Models, and uploads of their versions."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
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
from server.registry.inspection import inspect_model, recognise_model
from server.registry.models import ModelVersion, VisionModel
from server.registry.services import lineage

NO_LICENCE = "NOASSERTION"
"""SPDX for: nobody says."""


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
    metrics: Any = None,
    parent: str = "",
    trained_on: str = "",
    recipe: Any = None,
    licence: str = "",
    source: Mapping[str, Any] | None = None,
) -> ModelVersion:
    """Inspect an ONNX with its manifest in a sandboxed child, and only then store them.

    An empty ``manifest`` is recognised from what the exporter wrote into the file; ``licence`` is
    for such a file that names none. What ``parent`` and the others may be is in ``lineage``.

    Raises Invalid with the manifest's errors or the inspection's code, TooLarge, or Conflict
    where this version, or this content, exists: nothing of what is there is lost.
    """
    given = read_json(ModelManifest, manifest) if manifest else None
    if given is not None:
        _require_task(model, given)
    named = {
        "model": model,
        "version": version,
        "notes": notes,
        "parent": lineage.find_parent(model, parent),
        "trained_on": lineage.find_training_set(trained_on),
        "recipe": lineage.read_recipe(recipe),
        "source": dict(source) if source else None,
    }
    _refuse_known_version(model, version)
    with tempfile.TemporaryDirectory(prefix="linewarden-upload-") as folder:
        # A folder of its own, inside one of ours: labels and configurations are looked for beside
        # a model and one folder above it.
        path = Path(folder, "model", "model.onnx")
        path.parent.mkdir()
        sha256 = _spool(chunks, path, max_bytes)
        found = _inspect(model, path, sha256, given, licence)
        figures = lineage.read_metrics(metrics, found.manifest)
        with path.open("rb") as file:
            blobs.put(iter(lambda: file.read(blobs.CHUNK_BYTES), b""), max_bytes=max_bytes)
    try:
        return _create_version(actor, found, metrics=figures, **named)
    except IntegrityError:
        # Two uploads at once: the other one was first.
        _refuse_known_version(model, version)
        _refuse_known_content(model, sha256, _digest(found.manifest))
        raise


@dataclass(frozen=True)
class _Inspected:
    report: InspectionReport
    manifest: ModelManifest
    origin: str


def _inspect(
    model: VisionModel, path: Path, sha256: str, given: ModelManifest | None, licence: str
) -> _Inspected:
    """Refuse what is there already before the child is asked, where the manifest is known."""
    if given is not None:
        _refuse_known_content(model, sha256, _digest(given))
        found = _Inspected(inspect_model(path, given), given, "")
    else:
        report, manifest, origin = recognise_model(path)
        if licence and manifest.licence == NO_LICENCE:
            manifest = manifest.model_copy(update={"licence": licence[:200]})
        found = _Inspected(report, manifest, origin)
        _require_task(model, found.manifest)
        _refuse_known_content(model, sha256, _digest(found.manifest))
    if found.report.sha256 != sha256:
        raise Invalid("The file changed while it was inspected; upload it again.")
    return found


def _require_task(model: VisionModel, manifest: ModelManifest) -> None:
    if manifest.task != model.task:
        raise Invalid(f"The manifest is for {manifest.task}, but {model.name} is for {model.task}.")


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
def _create_version(actor: str, found: _Inspected, **named: Any) -> ModelVersion:
    manifest, report = found.manifest, found.report
    row = ModelVersion.objects.create(
        **named,
        sha256=report.sha256,
        length=report.size_bytes,
        manifest_sha256=_digest(manifest),
        manifest_body=manifest.model_dump(mode="json", exclude_none=True),
        manifest_origin=found.origin,
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
        after={
            "sha256": row.sha256,
            "manifest_sha256": row.manifest_sha256,
            "parent": str(row.parent or ""),
            "trained_on": str(row.trained_on or ""),
        },
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
