"""Lays out all that a check's child needs, and nothing else."""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Mapping
from pathlib import Path

from inference_core.contract.golden import CheckedModel, GoldenPictures, PipelineJob
from inference_core.contract.manifest import ModelManifest
from server.builds.device_files import why_too_large
from server.builds.models import Artifact, PipelineCheck
from server.builds.selectors import signable
from server.datasets.models import DatasetVersion
from server.datasets.selectors import materialise
from server.fleet.models import Camera, HardwareProfile
from server.fleet.states import DeviceState
from server.lib import blobs
from server.registry.golden import MAX_CASES
from server.registry.models import Release

MAX_CASES_OF_A_MODEL = 64
"""Of a golden set that was made for one model; a release's own cases are all judged."""


def prepare_check(
    check: PipelineCheck, artifacts: Mapping[str, Artifact], folder: Path
) -> PipelineJob:
    """Write sources, artifacts and golden sets below ``folder``; returns the job over them."""
    release, profile = check.release, check.profile
    return PipelineJob(
        release=release.name,
        counter=release.counter,
        profile=profile.spec,
        pipeline=release.pipeline,
        models={
            name: _lay_out_model(artifact, folder / f"model{number}")
            for number, (name, artifact) in enumerate(sorted(artifacts.items()))
        },
        golden=tuple(
            _lay_out_set(dataset, model, most, folder / f"golden{number}")
            for number, (dataset, model, most) in enumerate(golden_sets(release, artifacts))
        ),
        mm_per_px=scale_of(check),
    )


def golden_sets(
    release: Release, artifacts: Mapping[str, Artifact]
) -> list[tuple[DatasetVersion, str | None, int]]:
    """What judges a release: its own golden cases, else the golden sets of its models.

    With each the model whose part of a frame the pictures show, None for whole frames, and how
    many of them are judged at most.
    """
    if release.golden is not None:
        return [(release.golden, None, MAX_CASES)]
    frames = release.pipeline.frame_models
    chosen = {}
    for name, artifact in sorted(artifacts.items()):
        golden, model = artifact.version.model.golden, None if name in frames else name
        chosen[(golden.pk, model)] = (golden, model, MAX_CASES_OF_A_MODEL)
    return list(chosen.values())


def why_not_on_a_device(check: PipelineCheck) -> str:
    """Why no device can be given this check, as a sentence; empty where one can."""
    artifacts = signable(check.release, check.profile)
    if artifacts is None:
        return "An artifact of the release is not signed."
    return why_too_large(*(dataset for dataset, _, _ in golden_sets(check.release, artifacts)))


def scale_of(check: PipelineCheck) -> float | None:
    """Millimetres per pixel of its whole frames, as the release says or the cameras do."""
    return check.release.golden_mm_per_px or scale_of_cameras(check.profile)


def scale_of_cameras(profile: HardwareProfile) -> float | None:
    """The usual mm per pixel of what the profile's devices see; None where no camera has one."""
    cameras = Camera.objects.filter(device__profile=profile)
    seen = cameras.exclude(device__state=DeviceState.REVOKED).values_list("mm_per_px", flat=True)
    scales = [scale for scale in seen if scale is not None]
    return statistics.median_low(scales) if scales else None


def _lay_out_model(artifact: Artifact, folder: Path) -> CheckedModel:
    folder.mkdir()
    version = artifact.version
    source, built = folder / "source.onnx", folder / "artifact"
    _copy(version.sha256, source)
    _copy(artifact.sha256, built)
    return CheckedModel(
        source_path=str(source),
        source_sha256=version.sha256,
        source_manifest=version.manifest,
        artifact_path=str(built),
        artifact_sha256=artifact.sha256,
        artifact_manifest=ModelManifest.model_validate(artifact.manifest_body),
        precision=artifact.precision,
    )


def _lay_out_set(
    dataset: DatasetVersion, model: str | None, most: int, folder: Path
) -> GoldenPictures:
    materialise(dataset, folder)
    return GoldenPictures(
        name=dataset.name,
        version=dataset.version,
        folder=str(folder),
        sha256=dataset.sha256,
        model=model,
        max_cases=most,
    )


def _copy(sha256: str, path: Path) -> None:
    with blobs.open_blob(sha256) as blob, path.open("xb") as file:
        shutil.copyfileobj(blob, file, blobs.CHUNK_BYTES)
