"""Releases: what they pin, where they are signed, where they run."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, QuerySet

from fleet_ui.access import Sites, within
from inference_core.contract.golden import PipelineCase, PipelineCertificate
from inference_core.contract.release import release_path
from server.builds.checks.queueing import is_doubtable
from server.builds.checks.selectors import (
    checks_of,
    earlier_checks,
    turns_at_check,
    waits_for_devices,
    why_check_waits,
)
from server.builds.checks.states import CHECK, CheckState
from server.builds.checks.waiving import is_waivable
from server.builds.models import BuildTurn, PipelineCheck, ReleaseTarget
from server.fleet.models import HardwareProfile, Presence
from server.lib.errors import NotFound
from server.registry.models import Release
from server.trust.waiting import why_unsigned


@dataclass(frozen=True)
class TargetRow:
    """A release on one profile: signed or not and why, and how many devices run it."""

    profile: HardwareProfile
    target: ReleaseTarget | None
    running: int
    check: PipelineCheck | None = None
    why: str = ""

    @property
    def word(self) -> str:
        """The state of its check for people."""
        if self.waits_for_approval:
            return "not approved"
        words = {"queued": "waits", "leased": "being judged", "succeeded": "agrees"}
        state = self.check.state if self.check is not None else ""
        return words.get(state, state)

    @property
    def tone_word(self) -> str:
        """What the chip of its check is coloured by."""
        return "waiting" if self.waits_for_approval else self.check.state if self.check else ""

    @property
    def waits_for_approval(self) -> bool:
        """Whether a person must believe the device that judged, before it is signed."""
        check = self.check
        is_judged = check is not None and check.state == CheckState.SUCCEEDED
        return is_judged and check is not None and check.waits_for_approval

    @property
    def waits_for_device(self) -> str:
        """What it waits for, where devices judge; empty where it does not."""
        check = self.check
        return why_check_waits(check) if check is not None and waits_for_devices(check) else ""

    @property
    def is_doubtable(self) -> bool:
        """Whether it may be judged again because only a device has said so."""
        return self.check is not None and is_doubtable(self.check)

    @property
    def is_waivable(self) -> bool:
        """Whether a person may answer for it."""
        return self.check is not None and self.target is None and is_waivable(self.check)

    @property
    def turns(self) -> list[BuildTurn]:
        """Devices that were asked to judge, the newest first."""
        return list(turns_at_check(self.check)) if self.check is not None else []

    @property
    def earlier(self) -> list[PipelineCheck]:
        """What was said before, and was doubted or could not be found out; the newest first."""
        return list(earlier_checks(self.check)) if self.check is not None else []

    @property
    def is_moving(self) -> bool:
        """Whether it may still be signed without anybody's doing."""
        is_unsigned = self.target is None and not self.why
        check = self.check
        if not is_unsigned or self.is_waivable:
            return False
        return check is None or check.state in CHECK.open or check.may_be_signed

    @property
    def certificate(self) -> PipelineCertificate | None:
        """That every golden case was judged as by the reference."""
        body = self.check.certificate if self.check is not None else None
        return body and PipelineCertificate.model_validate(body)

    @property
    def differing(self) -> list[PipelineCase]:
        """The golden cases that were judged otherwise."""
        cases = self.check.differing if self.check is not None else []
        return [PipelineCase.model_validate(case) for case in cases]


def list_releases() -> QuerySet[Release]:
    """Releases, newest first, with counts."""
    return (
        Release.objects.prefetch_related("versions__model")
        .annotate(signed=Count("targets", distinct=True), tried=Count("rollouts", distinct=True))
        .order_by("-counter")
    )


def release_named(name: str) -> Release:
    """A release; NotFound where there is none."""
    releases = Release.objects.select_related("golden").prefetch_related("versions__model")
    release = releases.filter(name=name).first()
    if release is None:
        raise NotFound(f"There is no release {name}.")
    return release


def targets_of(release: Release, sites: Sites) -> list[TargetRow]:
    """Every profile in use, judged or signed for, by name; devices are counted in the scope."""
    checks = {check.profile_id: check for check in checks_of(release)}
    targets = {target.profile_id: target for target in release.targets.all()}
    used = HardwareProfile.objects.filter(devices__isnull=False) | HardwareProfile.objects.filter(
        pk__in=[*targets, *checks]
    )
    running = running_by_digest([target.sha256 for target in targets.values()], sites)
    rows = []
    for profile in used.distinct().order_by("name"):
        target = targets.get(profile.pk)
        why = why_unsigned(profile.name, release_path(profile.name, release.name))
        count = running.get(target.sha256, 0) if target else 0
        rows.append(TargetRow(profile, target, count, checks.get(profile.pk), why))
    return rows


def running_by_digest(digests: list[str], sites: Sites) -> dict[str, int]:
    """How many devices report that they run each of the digests."""
    seen = within(Presence.objects.all(), sites, "device__line__site__name")
    rows = seen.filter(running_sha256__in=digests).values("running_sha256")
    return {row["running_sha256"]: row["n"] for row in rows.annotate(n=Count("pk"))}
