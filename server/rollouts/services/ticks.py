"""The clockwork: look at a rollout, and move it on by what its devices have reported."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction

from server.accounts.actors import SYSTEM
from server.lib import clock
from server.lib.states import move
from server.rollouts import gates
from server.rollouts.evidence import GateVerdict, Judgement
from server.rollouts.models import Rollout, Stage
from server.rollouts.selectors.evidence import evidence_for
from server.rollouts.services import stages
from server.rollouts.services.moves import explain, move_rollout
from server.rollouts.states import ROLLOUT, STAGE, RolloutState, StageState


@transaction.atomic
def tick_rollout(*, rollout_id: UUID) -> None:
    """Judge the present stage and act: take devices in, go on, hold, or stop.

    May run at any time, twice, and on two machines at once: the row of the rollout is the lock,
    and every move is conditional. A rollout that is not scheduled or running is left alone.
    """
    rollout = Rollout.objects.select_for_update(no_key=True).filter(pk=rollout_id).first()
    if rollout is not None and rollout.state == RolloutState.SCHEDULED:
        move(ROLLOUT, rollout, RolloutState.RUNNING, actor=SYSTEM, started_at=clock.now())
    if rollout is not None and rollout.state == RolloutState.RUNNING:
        _advance(rollout)


def _advance(rollout: Rollout) -> None:
    stages.dismiss_leavers(rollout)
    stage = rollout.stages.exclude(state=StageState.PASSED).order_by("index").first()
    if stage is None:
        _succeed(rollout)
        return
    stage.rollout = rollout
    if stage.state == StageState.WAITING:
        stages.open_stage(stage=stage)
    verdict = _judge(stage)
    if verdict.word == "fail":
        _stop_for(rollout, stage, verdict)
    elif verdict.word == "pass":
        _pass(rollout, stage)
    else:
        # After the verdict, so that nobody is offered what has just been found bad.
        stages.fill_stage(stage)


def _judge(stage: Stage) -> GateVerdict:
    evidence = evidence_for(stage)
    stages.time_out_offline(stage, evidence)
    stages.settle_stage(stage, evidence)
    verdict = gates.judge(stage.rollout.rules, evidence)
    judgement = Judgement(evidence=evidence, verdict=verdict).model_dump(mode="json")
    if judgement != stage.verdict:
        stage.verdict = judgement
        stage.save(update_fields=["verdict"])
    held = f"held: {'; '.join(verdict.reasons)}" if verdict.word == "hold" else ""
    explain(stage.rollout, held)
    return verdict


def _pass(rollout: Rollout, stage: Stage) -> None:
    move(STAGE, stage, StageState.PASSED, actor=SYSTEM, finished_at=clock.now())
    following = rollout.stages.filter(state=StageState.WAITING).order_by("index").first()
    if following is None:
        _succeed(rollout)
        return
    following.rollout = rollout
    stages.open_stage(stage=following)


def _succeed(rollout: Rollout) -> None:
    reason = "every stage passed its gate"
    move_rollout(rollout, RolloutState.SUCCEEDED, action="succeed", actor=SYSTEM, reason=reason)


def _stop_for(rollout: Rollout, stage: Stage, verdict: GateVerdict) -> None:
    """Later stages were never offered anything; what is on its way is called back."""
    reason = f"stage {stage.index + 1} failed: {'; '.join(verdict.reasons)}"
    stages.fail_stage(rollout, actor=SYSTEM, reason=reason)
    stages.withdraw(rollout, actor=SYSTEM, reason=reason)
    move_rollout(rollout, RolloutState.STOPPED, action="stop", actor=SYSTEM, reason=reason)
