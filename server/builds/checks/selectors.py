"""Reads of golden pipeline checks."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import QuerySet

from server.builds.checks.states import SIGNABLE, CheckState
from server.builds.models import Artifact, PipelineCheck
from server.fleet.models import HardwareProfile
from server.registry.models import Release


def newest_check(release: Release, profile: HardwareProfile) -> PipelineCheck | None:
    """The check that counts, or None where there never was one."""
    checks = PipelineCheck.objects.select_related("profile", "release")
    return checks.filter(release=release, profile=profile).order_by("-number").first()


def checks_of(release: Release) -> list[PipelineCheck]:
    """The check that counts of every profile, by the profile's name."""
    rows = release.checks.select_related("profile").order_by("number")
    newest = {row.profile_id: row for row in rows}
    return sorted(newest.values(), key=lambda row: row.profile.name)


def predates(check: PipelineCheck, artifacts: Iterable[Artifact]) -> bool:
    """Whether it may have judged others: one of ``artifacts`` was made after it was asked for."""
    return any(artifact.created_at > check.created_at for artifact in artifacts)


def refused_releases(profile: HardwareProfile) -> QuerySet[PipelineCheck]:
    """Checks that say for good that a release must not be signed for ``profile``."""
    return PipelineCheck.objects.filter(profile=profile, state=CheckState.REFUSED)


def describe_check(check: PipelineCheck | None) -> str:
    """What stands between a release and its signature, as words that end a sentence."""
    if check is None or check.state in SIGNABLE:
        return "not yet signed"
    ended = {
        str(CheckState.REFUSED): f"refused for {check.profile}: {check.reason}",
        str(CheckState.FAILED): f"golden cases not judged on {check.profile}: {check.reason}",
    }
    waiting = f": {check.reason}" if check.reason else ""
    return ended.get(check.state, f"golden cases are being judged{waiting}")
