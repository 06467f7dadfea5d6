"""A stage in figures: what its devices reported, and what is still missing."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from uuid import UUID

from django.db.models import BooleanField, Case, F, Q, When

from inference_core.contract.histogram import ExponentialHistogram
from inference_core.contract.words import DeploymentPhase, FailureCause
from server.builds.models import ReleaseTarget
from server.lib import clock
from server.rollouts.evidence import INCONCLUSIVE, Evidence, ProfileLatency
from server.rollouts.models import TERMINAL, Stage
from server.rollouts.policy import RolloutPolicy
from server.rollouts.selectors.members import (
    certified,
    eligible_devices,
    is_offline,
    newcomers,
    room_in,
)
from server.rollouts.states import StageState
from server.telemetry.selectors import (
    TOTAL,
    FrameFigures,
    frame_figures_by_device,
    throttled_devices,
)

P = DeploymentPhase
TIMED_OUT = "timed_out"
"""The cause of those that the policy counts as failed for being offline past the deadline."""

Buckets = dict[str, list["_Part"]]


def evidence_for(stage: Stage) -> Evidence:
    """Everything that the gate of ``stage`` may know, as of now."""
    now = clock.now()
    buckets = _buckets(stage, now)
    waiting = room_in(stage)
    signed = certified(stage.rollout, newcomers(stage.rollout)).count()
    frames = _frames(stage, buckets)
    return Evidence(
        running=len(buckets["running"]),
        unconfirmed=len(buckets["unconfirmed"]),
        in_flight=len(buckets["in_flight"]),
        outside_window=sum(part.phase == P.WAITING_WINDOW for part in buckets["in_flight"]),
        offline=len(buckets["offline"]),
        waiting=waiting,
        uncertified=max(0, waiting - signed),
        failed=_by_cause(buckets["failed"]),
        inconclusive=_by_cause(buckets["inconclusive"]),
        skipped=len(buckets["skipped"]),
        superseded=len(buckets[P.SUPERSEDED]),
        removed=len(buckets[P.REMOVED]),
        soak_s=_soak_s(stage, now),
        frames=frames.frames,
        fewest_frames=frames.fewest,
        faults=dict(sorted(frames.faults.items())),
        latency_ms=frames.latency_ms,
    )


@dataclass(frozen=True, slots=True)
class _Part:
    """What the evidence needs of a deployment: one narrow row of one query, not five objects.

    ``is_owner``: the device's goal still rests on this deployment. ``is_reported``: its last
    poll named the digest that it should run.
    """

    device_id: UUID
    profile: str
    phase: str
    cause: str
    target_id: int
    target_sha256: str
    previous_id: int | None
    is_owner: bool
    is_reported: bool
    is_offline: bool


def _parts(stage: Stage, now: datetime) -> Iterator[_Part]:
    rows = stage.deployments.annotate(
        is_owner=_holds(Q(device__desired__deployment=F("pk"))),
        is_reported=_holds(Q(device__presence__running_sha256=F("target__sha256"))),
        is_offline=_holds(is_offline(now)),
    )
    fields = ("device_id", "device__profile__name", "phase", "cause", "target_id")
    more = ("target__sha256", "previous_id", "is_owner", "is_reported", "is_offline")
    return (_Part(*row) for row in rows.values_list(*fields, *more))


def _holds(condition: Q) -> Case:
    return Case(When(condition, then=True), default=False, output_field=BooleanField())


def _buckets(stage: Stage, now: datetime) -> Buckets:
    buckets: Buckets = defaultdict(list)
    policy = stage.rollout.rules
    for part in _parts(stage, now):
        buckets[_bucket(part, policy)].append(part)
    _let_leavers_go(stage, buckets)
    return buckets


def _let_leavers_go(stage: Stage, buckets: Buckets) -> None:
    """Whoever gave no verdict, and was taken out of the group since, is waited for no longer."""
    parts = buckets["inconclusive"]
    if parts:
        members = eligible_devices(stage.rollout).filter(pk__in=[p.device_id for p in parts])
        here = set(members.values_list("pk", flat=True))
        buckets["inconclusive"] = [part for part in parts if part.device_id in here]
        buckets[P.REMOVED] += [part for part in parts if part.device_id not in here]


def _bucket(part: _Part, policy: RolloutPolicy) -> str:
    if part.phase == P.COMMITTED:
        # Where a newer rollout has taken the device on, it says nothing about this one.
        if not part.is_owner:
            return P.SUPERSEDED
        return "running" if part.is_reported else "unconfirmed"
    if part.phase in (P.SUPERSEDED, P.REMOVED):
        return P(part.phase)
    if part.phase == P.TIMED_OUT and policy.when_offline != "fail":
        return "skipped"
    if part.phase in TERMINAL:
        return "inconclusive" if part.cause in INCONCLUSIVE else "failed"
    return "offline" if part.is_offline else "in_flight"


def _by_cause(parts: Sequence[_Part]) -> dict[str, int]:
    causes = Counter(
        TIMED_OUT if part.phase == P.TIMED_OUT else part.cause or str(FailureCause.OTHER)
        for part in parts
    )
    return dict(sorted(causes.items()))


def _soak_s(stage: Stage, now: datetime) -> int:
    """Whole seconds since the last of its devices had settled."""
    if stage.state != StageState.SOAKING or stage.soaking_since is None:
        return 0
    return max(0, int((now - stage.soaking_since).total_seconds()))


@dataclass
class _Frames:
    frames: int = 0
    fewest: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    latency_ms: dict[str, ProfileLatency] = field(default_factory=dict)


def _frames(stage: Stage, buckets: Buckets) -> _Frames:
    """Figures of devices that run the release, or try it; those that failed are counted as such.

    Frames count from the hour in which the stage was opened: summaries are cut by the hour.
    """
    trying = [part for part in buckets["in_flight"] if part.phase == P.PROBATION]
    parts = [*buckets["running"], *buckets["unconfirmed"], *trying]
    found, frames = _Frames(), Counter[UUID]()
    latency: dict[str, ExponentialHistogram] = defaultdict(ExponentialHistogram)
    for (target_sha256, profile), of_target in _by_target(parts).items():
        figures = frame_figures_by_device(
            device_ids=[part.device_id for part in of_target],
            release_sha256=target_sha256,
            since=stage.opened_at,
        )
        for device_id, of_device in figures.items():
            frames[device_id] = of_device.frames
            found.frames += of_device.frames
            found.faults.update(of_device.faults)
            latency[profile] = latency[profile].merge(_total(of_device))
    found.fewest = min((frames[part.device_id] for part in buckets["running"]), default=0)
    for profile in sorted({part.profile for part in parts}):
        baseline = _baseline(stage, profile, buckets)
        found.latency_ms[profile] = ProfileLatency(
            candidate=latency[profile],
            baseline=baseline.latency,
            throttled=_throttled(stage, [p.device_id for p in parts if p.profile == profile]),
            baseline_throttled=_throttled(stage, baseline.device_ids),
        )
    return found


def _throttled(stage: Stage, device_ids: Sequence[UUID]) -> int:
    """How many of them were slowed down; asked only where latency is limited."""
    rules = stage.rollout.rules
    if not device_ids or (rules.max_p95_ms is None and rules.max_p95_ratio is None):
        return 0
    return len(throttled_devices(device_ids, since=stage.opened_at))


def _by_target(parts: Sequence[_Part]) -> dict[tuple[str, str], list[_Part]]:
    by_target: dict[tuple[str, str], list[_Part]] = defaultdict(list)
    for part in parts:
        by_target[part.target_sha256, part.profile].append(part)
    return by_target


def _total(figures: FrameFigures) -> ExponentialHistogram:
    return figures.latency.get(TOTAL, ExponentialHistogram())


@dataclass
class _Baseline:
    """Devices of one profile that still run what the stage replaces, as far as they judge."""

    latency: ExponentialHistogram = field(default_factory=ExponentialHistogram)
    device_ids: list[UUID] = field(default_factory=list)


def _baseline(stage: Stage, profile: str, buckets: Buckets) -> _Baseline:
    found = _Baseline()
    if stage.rollout.rules.max_p95_ratio is None:
        return found
    parts = [part for part in chain.from_iterable(buckets.values()) if part.profile == profile]
    replaced = {part.previous_id for part in parts if part.previous_id is not None}
    old = ReleaseTarget.objects.filter(pk__in=replaced - {part.target_id for part in parts})
    for target in old:
        others = eligible_devices(stage.rollout).filter(desired__target=target)
        figures = frame_figures_by_device(
            device_ids=others.values_list("pk", flat=True),
            release_sha256=target.sha256,
            since=stage.opened_at,
        )
        found.device_ids += figures
        for of_device in figures.values():
            found.latency = found.latency.merge(_total(of_device))
    return found
