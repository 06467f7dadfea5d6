"""Versions with a certified and signed artifact, without the minute that a build takes."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from pathlib import Path

from django.utils import timezone

from inference_core.contract.build import (
    LatencyFigures,
    ParityCertificate,
    ParityFigures,
    ParityLimits,
)
from server.builds import services
from server.builds.models import Artifact, Build, Certificate
from server.builds.states import BuildState
from server.datasets.models import DatasetVersion, Purpose
from server.datasets.services import upload_dataset
from server.fleet.models import HardwareProfile
from server.lib import blobs
from server.registry.models import ModelVersion, VisionModel
from tests.server.catalogue import ACTOR, MAX_BYTES, manifest_json, onnx_bytes

PARITY = ParityFigures(
    metric="mean_iou", reference=1, artifact=1, share=1, score_shift=0, agreement=1, images=6
)


def certify(
    version: ModelVersion,
    profile: HardwareProfile,
    data: bytes,
    parity: ParityFigures = PARITY,
) -> Artifact:
    """``data`` as the artifact, with a certificate that says parity was kept."""
    now, blob = timezone.now(), blobs.put_bytes(data)
    build = Build.objects.create(
        key=blob.sha256,
        version=version,
        profile=profile,
        state=BuildState.SUCCEEDED,
        created_at=now,
    )
    artifact = Artifact.objects.create(
        build=build,
        version=version,
        profile=profile,
        sha256=blob.sha256,
        length=blob.length,
        runtime=profile.runtime,
        runtime_version="1",
        precision="fp32",
        manifest_body=version.manifest_body,
        created_at=now,
    )
    body = ParityCertificate(
        source_sha256=version.sha256,
        manifest_sha256=version.manifest_sha256,
        artifact_sha256=blob.sha256,
        golden_sha256=version.model.golden.sha256,
        calibration_sha256=version.model.calibration.sha256,
        profile=profile.name,
        runtime=profile.runtime,
        runtime_version="1",
        precision="fp32",
        parity=parity,
        limits=ParityLimits(),
        latency=LatencyFigures(p50_ms=1, p95_ms=1, runs=5),
    )
    written = blobs.put_bytes(body.to_json())
    Certificate.objects.create(
        artifact=artifact,
        sha256=written.sha256,
        length=written.length,
        body=body.model_dump(mode="json"),
    )
    return services.sign_artifact(artifact_id=artifact.pk)


def stored_version(model: VisionModel) -> ModelVersion:
    """Version 1.0.0 of the tests' model, as an upload leaves it, without its inspection."""
    blob, manifest = blobs.put_bytes(onnx_bytes()), manifest_json()
    return ModelVersion.objects.create(
        model=model,
        version="1.0.0",
        sha256=blob.sha256,
        length=blob.length,
        manifest_sha256=hashlib.sha256(manifest.encode()).hexdigest(),
        manifest_body=json.loads(manifest),
        report={},
        licence="Apache-2.0",
        created_at=timezone.now(),
        created_by=ACTOR,
    )


def upload_folder(folder: Path, name: str, purpose: Purpose) -> DatasetVersion:
    """The dataset in a folder, as somebody would upload it."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            archive.write(path, path.relative_to(folder))
    packed.seek(0)
    return upload_dataset(
        name=name,
        version="1",
        purpose=purpose,
        notes="",
        file=packed,
        max_bytes=MAX_BYTES,
        actor=ACTOR,
    )
