"""What ran where, and when: runs of devices, read as releases, versions and artifacts.

This is the lowest app that knows all of them: devices report digests, and only a signed target
says which release a digest is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import reduce
from operator import or_

from django.db.models import Q, QuerySet

from server.accounts.models import Role
from server.accounts.scope import site_names
from server.builds.models import Artifact, ReleaseTarget
from server.fleet.models import ReleaseRun
from server.fleet.selectors import Caller
from server.lib.errors import Invalid
from server.registry.models import ModelVersion

Made = Mapping[tuple[int, int], list[Artifact]]
"""By version and profile, the oldest first."""


@dataclass(frozen=True)
class RunView:
    """One run with what it was; ``target`` is None for a digest that was not signed here."""

    run: ReleaseRun
    target: ReleaseTarget | None
    parts: tuple[tuple[ModelVersion, Artifact | None], ...]

    @property
    def heard_until(self) -> datetime | None:
        """When the device last said that it runs this."""
        if self.run.until is not None:
            return self.run.heard_until
        presence = getattr(self.run.device, "presence", None)
        return presence.last_seen_at if presence else None


def runs_for(user: Caller, role: Role = Role.VIEWER) -> QuerySet[ReleaseRun]:
    """Runs of devices at sites where ``user`` has at least ``role``, the newest first."""
    names = site_names(user, role)
    runs = ReleaseRun.objects.select_related("device__line__site", "device__presence")
    return runs if names is None else runs.filter(device__line__site__name__in=names)


def at(runs: QuerySet[ReleaseRun], told: str) -> QuerySet[ReleaseRun]:
    """Runs that a day (``2026-11-28``, in UTC) or an instant (with its offset) fell into.

    Raises Invalid for what is neither.
    """
    start, end = _span(told)
    return runs.filter(Q(until=None) | Q(until__gt=start), since__lte=end)


def of_release(runs: QuerySet[ReleaseRun], name: str) -> QuerySet[ReleaseRun]:
    """Runs of a release, on whatever profile."""
    return _of_targets(runs, ReleaseTarget.objects.filter(release__name=name))


def of_version(runs: QuerySet[ReleaseRun], model: str, version: str = "") -> QuerySet[ReleaseRun]:
    """Runs of releases that pin a version of ``model``, or any of them."""
    pinned = ModelVersion.objects.filter(model__name=model)
    if version:
        pinned = pinned.filter(version=version)
    return _of_targets(runs, ReleaseTarget.objects.filter(release__versions__in=pinned))


def of_artifact(runs: QuerySet[ReleaseRun], sha256: str) -> QuerySet[ReleaseRun]:
    """Runs of releases whose files are these very bytes."""
    made = Artifact.objects.filter(sha256=sha256).defer("manifest_body")
    places = [Q(pk__in=[]), *map(_signed_with, made)]
    return _of_targets(runs, ReleaseTarget.objects.filter(reduce(or_, places)))


def read_runs(runs: Sequence[ReleaseRun]) -> list[RunView]:
    """What each run was. Three queries, however many there are."""
    signed = ReleaseTarget.objects.filter(sha256__in={run.sha256 for run in runs})
    targets = {
        target.sha256: target
        for target in signed.select_related("release", "profile").prefetch_related(
            "release__versions__model"
        )
    }
    pairs = {
        (version.pk, target.profile_id)
        for target in targets.values()
        for version in target.release.versions.all()
    }
    made = Artifact.objects.filter(
        version__in={version for version, _ in pairs}, profile__in={p for _, p in pairs}
    ).defer("manifest_body")
    artifacts: dict[tuple[int, int], list[Artifact]] = defaultdict(list)
    for artifact in made.order_by("pk"):
        artifacts[artifact.version_id, artifact.profile_id].append(artifact)
    return [_view(run, targets.get(run.sha256), artifacts) for run in runs]


def _signed_with(artifact: Artifact) -> Q:
    """Targets that were signed while it was what a release takes."""
    signed = Q(profile=artifact.profile_id, release__versions=artifact.version_id)
    others = Artifact.objects.filter(version=artifact.version_id, profile=artifact.profile_id)
    before = others.filter(pk__lt=artifact.pk).order_by("pk").last()
    if before is not None and before.superseded_at is not None:
        signed &= Q(signed_at__gte=before.superseded_at)
    if artifact.superseded_at is not None:
        signed &= Q(signed_at__lt=artifact.superseded_at)
    return signed


def _view(run: ReleaseRun, target: ReleaseTarget | None, made: Made) -> RunView:
    if target is None:
        return RunView(run, None, ())
    parts = tuple(
        (version, _find(made.get((version.pk, target.profile_id), []), target))
        for version in target.release.versions.all()
    )
    return RunView(run, target, parts)


def _find(made: list[Artifact], target: ReleaseTarget) -> Artifact | None:
    return next((one for one in made if one.is_current_at(target.signed_at)), None)


def _of_targets(
    runs: QuerySet[ReleaseRun], targets: QuerySet[ReleaseTarget]
) -> QuerySet[ReleaseRun]:
    return runs.filter(sha256__in=targets.values("sha256"))


def _span(told: str) -> tuple[datetime, datetime]:
    """From and to, both inside."""
    try:
        if len(told) == len("2026-11-28"):
            day = datetime.combine(date.fromisoformat(told), time(), UTC)
            return day, day + timedelta(days=1) - timedelta(microseconds=1)
        instant = datetime.fromisoformat(told)
    except (ValueError, OverflowError):
        instant = None
    if instant is None or instant.tzinfo is None:
        raise Invalid(
            "at is a day in UTC, 2026-11-28, or an instant with its offset, 2026-11-28T10:15:00Z."
        )
    return instant, instant
