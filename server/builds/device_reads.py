"""Reads of what devices do in turns: what one is offered, and what it may fetch meanwhile."""

from __future__ import annotations

from django.db.models import QuerySet

from inference_core.contract.device import BuildOffer
from inference_core.contract.device_build import BuildLease
from server.builds.device_files import set_of, why_too_large
from server.builds.models import Build, BuildTurn
from server.builds.selectors import limits_of
from server.builds.services.leases import LEASE_S
from server.builds.states import BuildState
from server.builds.turn_reads import build_of
from server.builds.willing import why_it_waits
from server.datasets.selectors import holds_file
from server.lib.errors import NotFound


def build_offer(turn: BuildTurn | None) -> BuildOffer | None:
    """A turn at a build as the goal tells of it; None for any other."""
    if turn is None or turn.build is None:
        return None
    version = turn.build.version
    sets = version.model.golden.length + version.model.calibration.length
    return BuildOffer(
        turn=turn.pk,
        build=turn.build.pk,
        runtime=turn.build.profile.runtime,
        download_bytes=version.length + sets,
    )


def lease_of(turn: BuildTurn) -> BuildLease:
    """All that the device needs to know for a build that it has leased."""
    build = build_of(turn)
    version = build.version
    return BuildLease(
        turn=turn.pk,
        build=build.pk,
        lease_s=LEASE_S,
        source_sha256=version.sha256,
        source_length=version.length,
        manifest=version.manifest,
        profile=build.profile.spec,
        calibration=set_of(version.model.calibration),
        golden=set_of(version.model.golden),
        limits=limits_of(build),
    )


def require_file(build: Build, sha256: str) -> None:
    """NotFound for a file that this build does not need."""
    model = build.version.model
    sets = [model.golden, model.calibration]
    if sha256 != build.version.sha256 and not holds_file(sets, sha256):
        raise NotFound("This build needs no such file.")


def turns_at(build: Build) -> QuerySet[BuildTurn]:
    """Which devices were asked, the newest first, and what came of it."""
    return BuildTurn.objects.filter(build=build).select_related("device").order_by("-pk")


def why_no_device(build: Build) -> str:
    """Why a queued build of a device-built profile waits, for a person; empty where it does not."""
    if build.state != BuildState.QUEUED or not build.profile.is_built_on_device:
        return ""
    model = build.version.model
    return why_too_large(model.golden, model.calibration) or why_it_waits(build.profile)
