"""A stage in figures: what its devices reported, and what is still missing."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain

from django.db.models import BooleanField, Case, F, Q, QuerySet, When

from inference_core.contract.histogram import ExponentialHistogram
from inference_core.contract.words import DeploymentPhase, FailureCause
from server.builds.models import ReleaseTarget
from server.fleet.selectors import PresenceWord, presence
from server.lib import clock
from server.rollouts.evidence import Evidence, ProfileLatency
from server.rollouts.models import TERMINAL, Deployment, Stage
from server.rollouts.policy import RolloutPolicy
from server.rollouts.selectors.members import certified, eligible_devices, newcomers, room_in
from server.rollouts.states import StageState
from server.telemetry.selectors import TOTAL, FrameFigures, frame_figures_by_device

P = DeploymentPhase
TIMED_OUT = "timed_out"
"""The cause of those that the policy counts as failed for being offline past the deadline."""

Buckets = dict[str, list[Deployment]]


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
        offline=len(buckets["offline"]),
        waiting=waiting,
        uncertified=max(0, waiting - signed),
        failed=_by_cause(buckets["failed"]),
        skipped=len(buckets["skipped"]),
        superseded=len(buckets[P.SUPERSEDED]),
        removed=len(buckets[P.REMOVED]),
        soak_s=_soak_s(stage, now),
        frames=frames.frames,
        fewest_frames=frames.fewest,
        faults=dict(sorted(frames.faults.items())),
        latency_ms=frames.latency_ms,
    )


def is_offline(part: Deployment, now: datetime) -> bool:
    """Whether the device has not been heard of for longer than a restart takes."""
    return presence(part.device, now) is PresenceWord.OFFLINE


def _buckets(stage: Stage, now: datetime) -> Buckets:
    buckets: Buckets = defaultdict(list)
    policy = stage.rollout.rules
    for part in _parts(stage):
        buckets[_bucket(part, policy, now)].append(part)
    return buckets


def _parts(stage: Stage) -> QuerySet[Deployment]:
    """Deployments with two facts of the device beside each.

    ``is_owner``: its goal still rests on this deployment. ``is_reported``: its last poll named
    the digest that it should run.
    """
    return stage.deployments.select_related(
        "device__presence", "device__profile", "target"
    ).annotate(
        is_owner=_holds(Q(device__desired__deployment=F("pk"))),
        is_reported=_holds(Q(device__presence__running_sha256=F("target__sha256"))),
    )


def _holds(condition: Q) -> Case:
    return Case(When(condition, then=True), default=False, output_field=BooleanField())


def _bucket(part: Deployment, policy: RolloutPolicy, now: datetime) -> str:
    if part.phase == P.COMMITTED:
        # Where a newer rollout has taken the device on, it says nothing about this one.
        if not getattr(part, "is_owner"):  # noqa: B009 - annotated, unknown to the type checker
            return P.SUPERSEDED
        return "running" if getattr(part, "is_reported") else "unconfirmed"  # noqa: B009 - same
    if part.phase in (P.SUPERSEDED, P.REMOVED):
        return P(part.phase)
    if part.phase == P.TIMED_OUT and policy.when_offline != "fail":
        return "skipped"
    if part.phase in TERMINAL:
        return "failed"
    return "offline" if is_offline(part, now) else "in_flight"


def _by_cause(parts: Sequence[Deployment]) -> dict[str, int]:
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
    found, counts = _Frames(), Counter[object]()
    latency: dict[str, ExponentialHistogram] = defaultdict(ExponentialHistogram)
    for target, of_target in _by_target(parts).items():
        for part, figures in _figures(stage, target, of_target):
            counts[part.device_id] = figures.frames
            found.frames += figures.frames
            found.faults.update(figures.faults)
            profile = part.device.profile.name
            latency[profile] = latency[profile].merge(_total(figures))
    found.fewest = min((counts[part.device_id] for part in buckets["running"]), default=0)
    profiles = {part.device.profile.name: part for part in parts}
    for profile, part in sorted(profiles.items()):
        baseline = _baseline(stage, part, buckets)
        found.latency_ms[profile] = ProfileLatency(candidate=latency[profile], baseline=baseline)
    return found


def _by_target(parts: Sequence[Deployment]) -> dict[ReleaseTarget, list[Deployment]]:
    by_target: dict[ReleaseTarget, list[Deployment]] = defaultdict(list)
    for part in parts:
        by_target[part.target].append(part)
    return by_target


def _figures(
    stage: Stage, target: ReleaseTarget, parts: Sequence[Deployment]
) -> Iterator[tuple[Deployment, FrameFigures]]:
    figures = frame_figures_by_device(
        device_ids=[part.device_id for part in parts],
        release_sha256=target.sha256,
        since=stage.opened_at,
    )
    return ((part, figures[part.device_id]) for part in parts if part.device_id in figures)


def _total(figures: FrameFigures) -> ExponentialHistogram:
    return figures.latency.get(TOTAL, ExponentialHistogram())


def _baseline(stage: Stage, part: Deployment, buckets: Buckets) -> ExponentialHistogram:
    """Latency of devices of the same profile that still run what the stage replaces."""
    merged = ExponentialHistogram()
    if stage.rollout.rules.max_p95_ratio is None:
        return merged
    everyone = chain.from_iterable(buckets.values())
    replaced = {other.previous_id for other in everyone if other.previous_id is not None}
    old = ReleaseTarget.objects.filter(pk__in=replaced, profile=part.device.profile_id)
    for target in old.exclude(pk=part.target_id):
        others = eligible_devices(stage.rollout).filter(desired__target=target)
        figures = frame_figures_by_device(
            device_ids=others.values_list("pk", flat=True),
            release_sha256=target.sha256,
            since=stage.opened_at,
        )
        for device_figures in figures.values():
            merged = merged.merge(_total(device_figures))
    return merged
