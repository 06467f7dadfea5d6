"""Reads of golden pipeline checks."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Exists, OuterRef, QuerySet

from server.builds.checks.states import CheckState
from server.builds.models import Artifact, BuildTurn, PipelineCheck
from server.builds.willing import why_it_waits, why_nobody_is_willing
from server.fleet.models import HardwareProfile
from server.registry.models import Release

MAX_PASSES = 8
"""How often a check is sent to hosts that sign for its profile and cannot judge."""

WAITS_FOR_A_DEVICE = "waits for a device of this profile to judge its golden cases"
WAITS_FOR_APPROVAL = "waits for approval"


def newest_check(release: Release, profile: HardwareProfile) -> PipelineCheck | None:
    """The check that counts, or None where there never was one."""
    checks = PipelineCheck.objects.select_related("profile", "release", "device")
    return checks.filter(release=release, profile=profile).order_by("-number").first()


def checks_of(release: Release) -> list[PipelineCheck]:
    """The check that counts of every profile, by the profile's name."""
    rows = release.checks.select_related("profile", "release", "device").order_by("number")
    newest = {row.profile_id: row for row in rows}
    return sorted(newest.values(), key=lambda row: row.profile.name)


def predates(check: PipelineCheck, artifacts: Iterable[Artifact]) -> bool:
    """Whether it may have judged others: one of ``artifacts`` was made after it was asked for."""
    return any(artifact.created_at > check.created_at for artifact in artifacts)


def refused_releases(profile: HardwareProfile) -> QuerySet[PipelineCheck]:
    """Checks that say that a release must not be signed for ``profile``, and none came later."""
    later = PipelineCheck.objects.filter(
        release=OuterRef("release"), profile=profile, number__gt=OuterRef("number")
    )
    refused = PipelineCheck.objects.filter(profile=profile, state=CheckState.REFUSED)
    return refused.exclude(Exists(later))


def was_refused_before(check: PipelineCheck) -> bool:
    """Whether somebody has refused the same release for the same profile."""
    earlier = PipelineCheck.objects.filter(release=check.release_id, profile=check.profile_id)
    return earlier.filter(number__lt=check.number, state=CheckState.REFUSED).exists()


def earlier_checks(check: PipelineCheck) -> QuerySet[PipelineCheck]:
    """What was said of the same release and profile before, the newest first."""
    same = PipelineCheck.objects.filter(release=check.release_id, profile=check.profile_id)
    return same.filter(number__lt=check.number).select_related("device").order_by("-number")


def turns_at_check(check: PipelineCheck) -> QuerySet[BuildTurn]:
    """Which devices were asked, the newest first, and what came of it."""
    return BuildTurn.objects.filter(pipeline_check=check).select_related("device").order_by("-pk")


def waits_for_devices(check: PipelineCheck) -> bool:
    """Whether a device of the profile is to judge."""
    return check.state == CheckState.QUEUED and check.profile.is_built_on_device


def is_for_hosts(check: PipelineCheck) -> bool:
    """Whether hosts that sign for the profile are still asked."""
    return not check.profile.is_built_on_device or check.passes < MAX_PASSES


def has_nobody(check: PipelineCheck) -> bool:
    """Whether it waits in vain: no host that was asked can judge, and no device is willing."""
    if not waits_for_devices(check) or is_for_hosts(check):
        return False
    return bool(why_nobody_is_willing(check.profile))


def why_check_waits(check: PipelineCheck) -> str:
    """What a check waits for, as sentences for a person; empty where no device is to judge."""
    if not waits_for_devices(check):
        return ""
    hosts = "; ".join(f"{host}: {problem}" for host, problem in sorted(check.asked.items()))
    asked = f" Hosts that sign cannot judge: {hosts}." if hosts else ""
    return f"{check.reason or why_it_waits(check.profile)}{asked}"


def describe_check(check: PipelineCheck | None) -> str:
    """What stands between a release and its signature, as words that end a sentence."""
    if check is None or check.may_be_signed:
        return "not yet signed"
    if check.waits_for_approval and check.state == CheckState.SUCCEEDED:
        return f"golden cases judged by {check.device or 'a host'}: {WAITS_FOR_APPROVAL}"
    if waits_for_devices(check):
        return f"{WAITS_FOR_A_DEVICE}: {why_check_waits(check)}"
    by = f" by {check.device}" if check.device else ""
    ended = {
        str(CheckState.REFUSED): f"refused for {check.profile}{by}: {check.reason}",
        str(CheckState.FAILED): f"golden cases not judged on {check.profile}: {check.reason}",
    }
    waiting = f": {check.reason}" if check.reason else ""
    return ended.get(check.state, f"golden cases are being judged{waiting}")
