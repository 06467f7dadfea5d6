"""Figures of frames, the health of boxes, and what happened on them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Max, QuerySet, Sum

from inference_core.contract.histogram import ExponentialHistogram
from inference_core.contract.telemetry import Gap, Health
from server.accounts.models import Role
from server.accounts.scope import site_names
from server.fleet.models import Device
from server.fleet.selectors import Caller
from server.lib.errors import NotFound
from server.telemetry.models import HourSummary, LogRequest, ShadowHour, TelemetryRecord

TOTAL = "total"
"""The key of ``latency`` for the whole frame."""


@dataclass
class FrameFigures:
    """Merged figures of frames. ``latency`` is by stage; ``lost`` and ``faults`` by cause."""

    frames: int = 0
    passed: int = 0
    failed: int = 0
    lost: dict[str, int] = field(default_factory=dict)
    faults: dict[str, int] = field(default_factory=dict)
    latency: dict[str, ExponentialHistogram] = field(default_factory=dict)

    @property
    def fault_count(self) -> int:
        """Frames on which a model failed."""
        return sum(self.faults.values())

    @property
    def p95_ms(self) -> float | None:
        """95th percentile of the whole frame, or None where none was measured."""
        histogram = self.latency.get(TOTAL)
        return histogram.quantile(0.95) if histogram else None

    def add(self, row: HourSummary) -> None:
        """Take the figures of one hour in."""
        self.frames += row.frames
        self.passed += row.passed
        self.failed += row.failed
        add_counts(self.lost, row.lost)
        add_counts(self.faults, row.faults)
        merge_latencies(self.latency, read_latencies(row.latency_ms))


def add_counts(into: dict[str, int], more: dict[str, int]) -> None:
    """Add the counts of ``more`` by cause."""
    for cause, count in more.items():
        into[cause] = into.get(cause, 0) + count


def read_latencies(stored: dict[str, object]) -> dict[str, ExponentialHistogram]:
    """Histograms by stage, from the JSON of a row."""
    return {name: ExponentialHistogram.model_validate(body) for name, body in stored.items()}


def merge_latencies(
    into: dict[str, ExponentialHistogram], more: dict[str, ExponentialHistogram]
) -> None:
    """Merge by stage; ``ValueError`` where two scales of one stage differ."""
    for name, histogram in more.items():
        into[name] = into[name].merge(histogram) if name in into else histogram


def frame_figures(
    *, device_ids: Iterable[UUID], release_sha256: str, since: datetime | None = None
) -> FrameFigures:
    """Figures of these devices together under one release, from whole hours since ``since``."""
    total = FrameFigures()
    for row in _hours(device_ids, release_sha256, since).iterator():
        total.add(row)
    return total


def frame_figures_by_device(
    *, device_ids: Iterable[UUID], release_sha256: str, since: datetime | None = None
) -> dict[UUID, FrameFigures]:
    """The same, by device; a device without any hour is absent."""
    figures: defaultdict[UUID, FrameFigures] = defaultdict(FrameFigures)
    for row in _hours(device_ids, release_sha256, since).iterator():
        figures[row.device_id].add(row)
    return dict(figures)


def _hours(
    device_ids: Iterable[UUID], release_sha256: str, since: datetime | None
) -> QuerySet[HourSummary]:
    hours = HourSummary.objects.filter(
        device_id__in=list(device_ids), release_sha256=release_sha256
    )
    if since is None:
        return hours
    # The hour that ``since`` lies in counts whole: a summary cannot be cut.
    return hours.filter(hour__gte=_hour_of(since))


def _hour_of(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def hours_of(device: Device, *, since: datetime | None = None) -> QuerySet[HourSummary]:
    """Hour by hour of one device, the newest first."""
    hours = HourSummary.objects.filter(device=device).order_by("-hour", "camera", "release_sha256")
    return hours if since is None else hours.filter(hour__gte=since)


def latest_health(device_ids: Iterable[UUID]) -> dict[UUID, Health]:
    """The health record of each device that came in last; one query however many devices."""
    records = TelemetryRecord.objects.filter(device_id__in=list(device_ids), kind="health")
    newest = records.values("device_id").annotate(newest=Max("pk")).values("newest")
    rows = TelemetryRecord.objects.filter(pk__in=newest)
    return {row.device_id: Health.model_validate(row.body) for row in rows}


def throttled_devices(device_ids: Iterable[UUID], *, since: datetime | None) -> set[UUID]:
    """Which of them their boards have slowed down, for heat or power, in whole hours since then."""
    records = TelemetryRecord.objects.filter(
        device_id__in=list(device_ids), kind="health", body__throttled=True
    )
    if since is not None:
        records = records.filter(captured_at__gte=_hour_of(since))
    return set(records.order_by().values_list("device_id", flat=True).distinct())


def recent_events(*, devices: QuerySet[Device], limit: int = 50) -> list[TelemetryRecord]:
    """Events and gaps of ``devices`` as they came in, the newest first."""
    records = TelemetryRecord.objects.filter(device__in=devices, kind__in=("event", "gap"))
    return list(records.select_related("device").order_by("-pk")[:limit])


_WHY_DROPPED = {
    "disk_full": "the disk was full",
    "corrupt": "they could not be read back",
    "refused": "the server never takes them",
    "forgotten": "this server had taken them, and was restored from a backup since",
}


def gap_in_words(gap: Gap) -> str:
    """Which records are missing for ever, and why."""
    if gap.first_seq == gap.last_seq:
        records = f"Record {gap.last_seq} is"
    else:
        records = f"Records {gap.first_seq} to {gap.last_seq} are"
    return f"{records} missing: {_WHY_DROPPED[gap.reason]}."


SHADOW_COUNTS = (
    "pairs",
    "both_pass",
    "both_fail",
    "only_release_fails",
    "only_shadow_fails",
    "skipped",
)


@dataclass
class ShadowFigures:
    """Two releases on the same frames. ``pairs`` is the sum of the four ways to judge."""

    release_sha256: str
    shadow_sha256: str
    pairs: int
    both_pass: int
    both_fail: int
    only_release_fails: int
    only_shadow_fails: int
    skipped: int
    faults: dict[str, int] = field(default_factory=dict)

    @property
    def disagreements(self) -> int:
        """Frames on which the shadow would have said otherwise."""
        return self.only_release_fails + self.only_shadow_fails

    @property
    def disagreement_share(self) -> float | None:
        """The same as a share of the pairs; None of no pairs."""
        return self.disagreements / self.pairs if self.pairs else None


def shadow_hours(
    devices: QuerySet[Device],
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    shadows: Iterable[str] | QuerySet[Any, Any] | None = None,
) -> QuerySet[ShadowHour]:
    """Hours of ``devices``, whole ones; ``shadows`` are digests, and None is any."""
    hours = ShadowHour.objects.filter(device__in=devices)
    if since is not None:
        hours = hours.filter(hour__gte=_hour_of(since))
    if until is not None:
        hours = hours.filter(hour__lte=until)
    return hours if shadows is None else hours.filter(shadow_sha256__in=shadows)


def shadow_figures(hours: QuerySet[ShadowHour]) -> list[ShadowFigures]:
    """Sums by pair of releases, the most compared first. Two queries, however many hours."""
    pair = ("release_sha256", "shadow_sha256")
    sums = {f"sum_{name}": Sum(name) for name in SHADOW_COUNTS}
    rows = hours.order_by().values(*pair).annotate(**sums).values_list(*pair, *sums)
    found = {row[:2]: ShadowFigures(*row) for row in rows}
    # Faults are rare, so that nearly every row stays out of this.
    for release, shadow, faults in hours.exclude(faults={}).values_list(*pair, "faults"):
        if (release, shadow) in found:  # else it came in since the sums were read
            add_counts(found[release, shadow].faults, faults)
    return sorted(found.values(), key=lambda figures: -figures.pairs)


def wanted_logs(device: Device) -> UUID | None:
    """The request for logs that ``device`` has not answered; None where nobody asks."""
    waiting = device.log_requests.filter(received_at=None, forgotten_at=None)
    return waiting.values_list("pk", flat=True).first()


def log_request_for(user: Caller, request_id: UUID, role: Role = Role.VIEWER) -> LogRequest:
    """One request; NotFound where ``user`` has not at least ``role`` at the device's site."""
    names = site_names(user, role)
    requests = LogRequest.objects.select_related("device").filter(pk=request_id)
    if names is not None:
        requests = requests.filter(device__line__site__name__in=names)
    found = requests.first()
    if found is None:
        raise NotFound("There are no such logs in your scope.")
    return found
