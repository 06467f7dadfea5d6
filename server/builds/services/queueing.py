"""Which builds there must be, and that their messages reach a builder."""

from __future__ import annotations

import hashlib
import json
from functools import partial

from django.db import transaction

from inference_core import __version__
from server.accounts import audit
from server.builds import dispatch
from server.builds.models import Artifact, Build
from server.builds.states import BUILD, BuildState
from server.fleet.models import BuiltOn, HardwareProfile
from server.fleet.selectors import profiles_in_use
from server.lib import clock
from server.lib.errors import Conflict
from server.registry.models import ModelVersion

RUN_BUILD = "server.builds.tasks.run_build"
MAX_SENT = 50
"""Messages of one sweep."""


def queue_build(*, version: ModelVersion, profile: HardwareProfile, actor: str) -> Build:
    """The open build of a version for a profile: the one that there is, or a new one.

    Raises Conflict where there is an artifact already: its bytes never change.
    """
    if Artifact.objects.filter(version=version, profile=profile).exists():
        raise Conflict(f"{version} is built for {profile} already.")
    builds = Build.objects.filter(version=version, profile=profile)
    running = builds.filter(state__in=BUILD.open).first()
    if running is not None:
        return running
    with transaction.atomic():
        build, is_new = Build.objects.get_or_create(
            # Counting ended ones only: of two calls at once, both come to the same key.
            key=_key(version, profile, builds.filter(state__in=BUILD.terminal).count()),
            defaults={"version": version, "profile": profile, "created_at": clock.now()},
        )
        if is_new:
            audit.record(
                actor=actor,
                action="queue",
                subject="build",
                subject_id=str(build.pk),
                after={"version": str(version), "profile": profile.name},
            )
            transaction.on_commit(partial(_send, build))
    return build


def queue_missing_builds(*, actor: str) -> list[Build]:
    """A build for every version and profile in use that never had one."""
    queued = []
    for profile in profiles_in_use():
        without = ModelVersion.objects.exclude(builds__profile=profile).order_by("pk")
        queued += [
            queue_build(version=version, profile=profile, actor=actor)
            for version in without.select_related("model__golden", "model__calibration")
        ]
    return queued


def resend_builds() -> int:
    """Send the messages of queued builds again, in case they were lost; how many were sent."""
    queued = Build.objects.filter(state=BuildState.QUEUED, profile__built_on=BuiltOn.BUILDERS)
    waiting = queued.select_related("profile")
    return sum(_send(build) for build in waiting.order_by("pk")[:MAX_SENT])


def _send(build: Build) -> bool:
    if build.profile.is_built_on_device:
        return False  # a device is asked instead, by its goal
    return dispatch.send_once(RUN_BUILD, build.pk, profile=build.profile.name)


def _key(version: ModelVersion, profile: HardwareProfile, attempt: int) -> str:
    """Names a request by all that shapes its result, so that the same request is the same row."""
    parts = {
        "source": version.sha256,
        "manifest": version.manifest_sha256,
        "profile": profile.spec.model_dump(mode="json"),
        "golden": version.model.golden.sha256,
        "calibration": version.model.calibration.sha256,
        "toolchain": __version__,
        # The same bytes may be two models', and a failed build may be asked for again.
        "version": version.pk,
        "attempt": attempt,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
