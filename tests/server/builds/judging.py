"""Releases on their way through the golden check."""

from __future__ import annotations

from server.builds.checks.queueing import queue_check
from server.builds.checks.selectors import newest_check
from server.builds.checks.states import CheckState
from server.builds.checks.worker import run_check
from server.builds.models import PipelineCheck
from server.builds.selectors import release_target
from server.fleet.models import HardwareProfile
from server.lib import blobs, clock
from server.registry.models import Release


def judge(release: Release, profile: HardwareProfile) -> PipelineCheck:
    """What the profile's builder does with a release; where it is signed already, nothing."""
    if release_target(release, profile) is None:
        run_check(queue_check(release=release, profile=profile, actor="test").pk)
    check = newest_check(release, profile)
    assert check is not None
    return check


def mark_judged(release: Release, profile: HardwareProfile) -> PipelineCheck:
    """As if every golden case had agreed, for tests of what comes after."""
    blob = blobs.put_bytes(f'{{"release":"{release.name}"}}'.encode())
    return PipelineCheck.objects.create(
        release=release,
        profile=profile,
        number=1,
        state=CheckState.SUCCEEDED,
        cases=1,
        certificate_sha256=blob.sha256,
        certificate_length=blob.length,
        created_at=clock.now(),
    )
