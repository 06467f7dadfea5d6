"""Releases: what they pin, where they are signed, where they run."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, QuerySet

from fleet_ui.access import Sites, within
from inference_core.contract.golden import PipelineCase, PipelineCertificate
from inference_core.contract.release import release_path
from server.builds.checks.selectors import checks_of
from server.builds.checks.states import CHECK
from server.builds.models import PipelineCheck, ReleaseTarget
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
        words = {"queued": "waits", "leased": "being judged", "succeeded": "agrees"}
        state = self.check.state if self.check is not None else ""
        return words.get(state, state)

    @property
    def is_moving(self) -> bool:
        """Whether it may still be signed without anybody's doing."""
        is_unsigned = self.target is None and not self.why
        return is_unsigned and (self.check is None or self.check.state in CHECK.open)

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
