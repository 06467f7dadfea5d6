"""Reads of builds on devices: what one is offered, and what it may fetch while it has the lease."""

from __future__ import annotations

from django.db.models import Q, QuerySet

from inference_core.contract.device import BuildOffer
from inference_core.contract.device_build import BuildFile, BuildLease, BuildSet
from server.builds.models import Build, BuildTurn
from server.builds.selectors import limits_of
from server.builds.services.leases import LEASE_S
from server.builds.states import BuildState, TurnState
from server.datasets.models import DatasetVersion
from server.datasets.selectors import files_of, holds_file
from server.fleet.models import Device
from server.fleet.states import DeviceState
from server.lib.errors import Conflict, NotFound

MAX_SET_IMAGES = 9000
"""Each may have a mask; a lease names every file."""


def offer_for(device: Device) -> BuildOffer | None:
    """The build that is this device's to do now, offered or begun."""
    turns = BuildTurn.objects.exclude(state=TurnState.ENDED).filter(device=device)
    turn = turns.select_related(
        "build__profile", "build__version__model__golden", "build__version__model__calibration"
    ).first()
    if turn is None:
        return None
    version = turn.build.version
    sets = version.model.golden.length + version.model.calibration.length
    return BuildOffer(
        turn=turn.pk,
        build=turn.build_id,
        runtime=turn.build.profile.runtime,
        download_bytes=version.length + sets,
    )


def turn_of(device: Device, turn_id: int) -> BuildTurn:
    """The device's own turn; another device's is as if it did not exist."""
    turn = (
        BuildTurn.objects.select_related(
            "device",
            "build__profile",
            "build__version__model__golden",
            "build__version__model__calibration",
        )
        .filter(pk=turn_id, device=device)
        .first()
    )
    if turn is None:
        raise NotFound("There is no such build of this device's.")
    return turn


def lease_of(turn: BuildTurn) -> BuildLease:
    """All that the device needs to know for a build that it has leased."""
    build, version = turn.build, turn.build.version
    return BuildLease(
        turn=turn.pk,
        build=build.pk,
        lease_s=LEASE_S,
        source_sha256=version.sha256,
        source_length=version.length,
        manifest=version.manifest,
        profile=build.profile.spec,
        calibration=_set(version.model.calibration),
        golden=_set(version.model.golden),
        limits=limits_of(build),
    )


def require_file(turn: BuildTurn, sha256: str) -> None:
    """Conflict without the lease; NotFound for a file that this build does not need."""
    build = turn.build
    is_held = build.state == BuildState.LEASED and build.lease_owner == turn.owner
    if turn.state != TurnState.LEASED or not is_held:
        raise Conflict("Files are given while the build is leased; this lease was lost.")
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
    devices = Device.objects.filter(profile=build.profile, state=DeviceState.ACCEPTED)
    if not devices.exists():
        return f"No device of {build.profile.name} is accepted yet."
    if not devices.filter(Q(presence__may_build=True)).exists():
        return (
            f"No device of {build.profile.name} may build: set may_build on one of them, "
            "see the page on devices."
        )
    return "Waits for a device that is online, in its line's update window, and without a rollout."


def _set(dataset: DatasetVersion) -> BuildSet:
    if dataset.image_count > MAX_SET_IMAGES:
        raise Conflict(
            f"{dataset} has {dataset.image_count} images, and a device builds with "
            f"{MAX_SET_IMAGES} at most: let builders build for this profile."
        )
    files = tuple(BuildFile(path=path, sha256=sha256) for path, sha256 in files_of(dataset))
    return BuildSet(sha256=dataset.sha256, length=dataset.length, files=files)
