"""Rollouts: stages with their counts and gates, devices by what became of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from django.db.models import Case, Count, F, Q, QuerySet, When

from fleet_ui.reads.presence import conditions
from inference_core.contract.words import DeploymentPhase
from server.lib.models import StateEvent
from server.rollouts.evidence import Judgement
from server.rollouts.models import TERMINAL, Deployment, Rollout, Stage
from server.rollouts.states import RolloutState, StageState

FAILED_PHASES = [
    str(phase)
    for phase in (
        DeploymentPhase.FAILED,
        DeploymentPhase.ROLLED_BACK,
        DeploymentPhase.REJECTED,
        DeploymentPhase.TIMED_OUT,
    )
]
DONE, FAILED = Q(phase=str(DeploymentPhase.COMMITTED)), Q(phase__in=FAILED_PHASES)
LEFT = Q(phase__in=[str(DeploymentPhase.SUPERSEDED), str(DeploymentPhase.REMOVED)])
ACTIVE = (RolloutState.SCHEDULED, RolloutState.RUNNING, RolloutState.PAUSED)
DEVICES_SHOWN, EVENTS = 200, 60
PHASE_ORDER = [*FAILED_PHASES, *(str(p) for p in DeploymentPhase if str(p) not in FAILED_PHASES)]


@dataclass(frozen=True)
class RolloutRow:
    """One line of a list, and the card on the overview."""

    rollout: Rollout
    word: str
    stage: Stage | None
    stages: int
    done: int
    failed: int
    devices: int
    why: tuple[str, ...]


@dataclass(frozen=True)
class StageView:
    """A stage of the strip, with the last judgement of its gate."""

    stage: Stage
    added: int
    judgement: Judgement | None
    counts: dict[str, int]


@dataclass(frozen=True)
class PhaseGroup:
    """Devices that share a phase and a cause."""

    phase: str
    cause: str
    deployments: tuple[Deployment, ...]


@dataclass(frozen=True)
class Moved:
    """A line of the time line."""

    event: StateEvent
    what: str


def rollout_rows(rollouts: QuerySet[Rollout]) -> list[RolloutRow]:
    """Rows with counts; the number of queries does not depend on the number of rows."""
    found = list(rollouts.prefetch_related("stages"))
    rows = Deployment.objects.filter(rollout__in=found).order_by().values("rollout_id")
    sums = rows.annotate(done=_count(DONE), failed=_count(FAILED))
    counts = {row["rollout_id"]: (row["done"], row["failed"]) for row in sums}
    return [_row(rollout, *counts.get(rollout.pk, (0, 0))) for rollout in found]


def stage_views(rollout: Rollout, now: datetime) -> list[StageView]:
    """The strip, in order."""
    offline = _on_device(conditions(now)["offline"])
    rows = Deployment.objects.filter(rollout=rollout).order_by().values("stage_id")
    sums = _sums(offline)
    found = rows.annotate(**sums).values_list("stage_id", *sums)
    by_stage = {row[0]: dict(zip(sums, row[1:], strict=True)) for row in found}
    views, before = [], 0
    for stage in rollout.stages.order_by("index"):
        counts = by_stage.get(stage.pk, {})
        shown = {name: counts[name] for name in sums if counts.get(name)}
        views.append(StageView(stage, stage.size - before, stage.judgement, shown))
        before = stage.size
    return views


def present_stage(stages: list[Stage]) -> Stage | None:
    """The stage that takes devices in or watches them."""
    return next((s for s in stages if s.state in (StageState.OPEN, StageState.SOAKING)), None)


def is_stuck(rollout: Rollout, judgement: Judgement | None) -> bool:
    """Whether the gate holds and neither time nor a device on its way will change that."""
    if rollout.state != RolloutState.RUNNING or judgement is None:
        return False
    evidence = judgement.evidence
    is_moving = evidence.in_flight > 0 or evidence.waiting > evidence.uncertified
    is_soaking = evidence.running > 0 and evidence.soak_s < rollout.rules.min_soak_s
    return judgement.verdict.word == "hold" and not is_moving and not is_soaking


def phase_groups(rollout: Rollout) -> list[PhaseGroup]:
    """Devices by phase and cause, what went wrong first."""
    deployments = rollout.deployments.select_related("device__line__site", "stage", "target")
    # Of a large rollout only some are shown: the failed ones must be among them.
    worst_first = Case(When(FAILED, then=0), default=1)
    shown = deployments.order_by(worst_first, "-updated_at", "pk")[:DEVICES_SHOWN]
    found = sorted(shown, key=_group_key)
    return [
        PhaseGroup(phase, cause, tuple(group))
        for (_, phase, cause), group in groupby(found, key=lambda d: _group_key(d)[:3])
    ]


def timeline_of(rollout: Rollout) -> list[Moved]:
    """Moves of the rollout and its stages, newest first."""
    stages = {str(stage.pk): f"Stage {stage.index + 1}" for stage in rollout.stages.all()}
    mine = Q(subject="rollout", subject_id=str(rollout.pk)) | Q(
        subject="stage", subject_id__in=list(stages)
    )
    events = StateEvent.objects.filter(mine).order_by("-at", "-id")[:EVENTS]
    return [Moved(event, stages.get(event.subject_id, "Rollout")) for event in events]


def _count(condition: Q) -> Count:
    return Count("pk", filter=condition)


def _sums(offline: Q) -> dict[str, Count]:
    is_open, queued = ~Q(phase__in=TERMINAL), Q(phase=str(DeploymentPhase.QUEUED))
    ready = Q(phase=str(DeploymentPhase.WAITING_WINDOW))
    return {
        "done": _count(DONE),
        "failed": _count(FAILED),
        "on_the_way": _count(is_open & ~queued & ~ready & ~offline),
        "waiting_for_their_window": _count(ready & ~offline),
        "waiting": _count(queued & ~offline),
        "offline": _count(is_open & offline),
        "left": _count(LEFT),
    }


def _on_device(condition: Q) -> Q:
    """A condition on Device as one on Deployment."""
    moved = Q(_connector=condition.connector, _negated=condition.negated)
    for child in condition.children:
        if isinstance(child, Q):
            moved.children.append(_on_device(child))
        elif isinstance(child, tuple):
            path, value = child
            if isinstance(value, F):
                value = F(f"device__{value.name}")  # type: ignore[attr-defined]  # the stubs lack it
            moved.children.append((f"device__{path}", value))
    return moved


def _row(rollout: Rollout, done: int, failed: int) -> RolloutRow:
    stages = list(rollout.stages.all())
    stage = present_stage(stages)
    judgement = stage.judgement if stage else None
    is_held = judgement is not None and judgement.verdict.word == "hold"
    return RolloutRow(
        rollout=rollout,
        word="held" if is_stuck(rollout, judgement) else rollout.state,
        stage=stage,
        stages=len(stages),
        done=done,
        failed=failed,
        devices=max((stage.size for stage in stages), default=0),
        why=judgement.verdict.reasons if judgement and is_held else (),
    )


def _group_key(deployment: Deployment) -> tuple[int, str, str, str]:
    return (
        PHASE_ORDER.index(deployment.phase),
        deployment.phase,
        deployment.cause,
        deployment.device.serial,
    )
