"""Reads of golden cases that a device judges: what it is offered, told, and may fetch."""

from __future__ import annotations

from collections.abc import Sequence

from inference_core.contract.device import CheckOffer
from inference_core.contract.device_check import CheckLease, LeasedModel, LeasedSet
from inference_core.contract.manifest import ModelManifest
from server.builds.checks.leases import LEASE_S
from server.builds.checks.materials import golden_sets
from server.builds.device_files import set_of
from server.builds.models import Artifact, BuildTurn, PipelineCheck
from server.builds.selectors import signable
from server.builds.turn_reads import check_of
from server.datasets.models import DatasetVersion
from server.datasets.selectors import holds_file
from server.lib.errors import Conflict, NotFound

Named = tuple[DatasetVersion, str | None, int]


def check_offer(turn: BuildTurn | None) -> CheckOffer | None:
    """A turn at golden cases as the goal tells of it; None for any other."""
    if turn is None or turn.pipeline_check is None:
        return None
    check = turn.pipeline_check
    artifacts = signable(check.release, check.profile)
    if artifacts is None:
        return None  # withdrawn meanwhile: nothing that could be leased
    models = sum(made.length + made.version.length for made in artifacts.values())
    sets = sum(dataset.length for dataset, _, _ in golden_sets(check.release, artifacts))
    return CheckOffer(
        turn=turn.pk,
        check=check.pk,
        runtime=check.profile.runtime,
        download_bytes=models + sets,
    )


def lease_of_check(turn: BuildTurn) -> CheckLease:
    """All that the device needs to know; Conflict where an artifact is not signed any more."""
    check = check_of(turn)
    release, artifacts = check.release, _signed(check)
    return CheckLease(
        turn=turn.pk,
        check=check.pk,
        lease_s=LEASE_S,
        release=release.name,
        counter=release.counter,
        profile=check.profile.spec,
        pipeline=release.pipeline,
        models={name: _model(made) for name, made in sorted(artifacts.items())},
        golden=tuple(map(_set, golden_sets(release, artifacts))),
        mm_per_px=turn.mm_per_px,
    )


def require_file_of_check(check: PipelineCheck, sha256: str) -> None:
    """NotFound for a file that judging does not need."""
    artifacts = _signed(check)
    files = {made.sha256 for made in artifacts.values()}
    files |= {made.version.sha256 for made in artifacts.values()}
    sets: Sequence[DatasetVersion] = [one for one, _, _ in golden_sets(check.release, artifacts)]
    if sha256 not in files and not holds_file(sets, sha256):
        raise NotFound("This check needs no such file.")


def _signed(check: PipelineCheck) -> dict[str, Artifact]:
    artifacts = signable(check.release, check.profile)
    if artifacts is None:
        raise Conflict(f"An artifact of {check.release} is not signed for {check.profile}.")
    return artifacts


def _model(made: Artifact) -> LeasedModel:
    return LeasedModel(
        source_sha256=made.version.sha256,
        source_length=made.version.length,
        source_manifest=made.version.manifest,
        artifact_sha256=made.sha256,
        artifact_length=made.length,
        artifact_manifest=ModelManifest.model_validate(made.manifest_body),
        precision=made.precision,
    )


def _set(named: Named) -> LeasedSet:
    dataset, model, most = named
    return LeasedSet(
        **dict(set_of(dataset)),
        name=dataset.name,
        version=dataset.version,
        model=model,
        max_cases=most,
    )
