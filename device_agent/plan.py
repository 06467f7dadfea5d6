"""The planner: from what is wanted and what is, to what remains to be done. No I/O."""

from __future__ import annotations

from dataclasses import dataclass

from device_agent.deployment import FORWARD, Hand, Step, goal_key
from inference_core.contract.device import Goal
from inference_core.contract.window import UpdateWindow
from inference_core.contract.words import DeploymentPhase


@dataclass(frozen=True)
class Situation:
    """What the planner may know.

    ``ended_as`` is how the goal's own deployment ended on this device, if it did.
    ``may_update`` is False while the journal cannot be written: nothing is begun then.
    ``window_is_open`` is about the deployment in hand.
    """

    goal: Goal | None
    hand: Hand | None
    current_sha256: str | None
    ended_as: DeploymentPhase | None
    may_update: bool = True
    window_is_open: bool = True


def plan(now: Situation) -> tuple[Step, ...]:
    """Steps that remain, the next one first; empty when the device is where it should be."""
    if now.hand is not None:
        return _go_on(now.hand, may_activate=now.window_is_open or not now.hand.disturbs)
    return FORWARD if now.may_update and _is_wanted(now) else ()


def window_of(hand: Hand, goal: Goal | None) -> UpdateWindow | None:
    """The window to wait for: the newest one, as somebody may have opened it meanwhile."""
    is_the_same = goal is not None and goal_key(goal) == hand.key
    return goal.window if goal and is_the_same else hand.goal.window


def is_superseded(hand: Hand, goal: Goal) -> bool:
    """Whether a newer goal no longer wants what is in hand. The highest generation wins.

    Not while committing: then the old goal is reached within a moment, and the new one next.
    """
    return (
        not hand.is_lost
        and hand.step is not Step.COMMIT
        and goal.generation > hand.goal.generation
        and (goal_key(goal) != hand.key if goal.deployment else goal.release != hand.goal.release)
    )


def _go_on(hand: Hand, *, may_activate: bool) -> tuple[Step, ...]:
    if hand.step in (Step.ROLL_BACK, Step.GIVE_UP):
        return (hand.step,)
    if hand.is_lost:
        return (Step.ROLL_BACK if hand.is_activated else Step.GIVE_UP,)
    ahead = FORWARD[FORWARD.index(hand.step) :]
    return tuple(step for step in ahead if step is not Step.WAIT_WINDOW or not may_activate)


def _is_wanted(now: Situation) -> bool:
    """A deployment is carried out once; a goal without one is an order to be at a release.

    A release that ended badly is not tried again, or the device would loop. One that was
    committed and is no longer current (its files rotted) is brought back.
    """
    goal = now.goal
    if goal is None or goal.release is None:
        return False
    if now.ended_as not in (None, DeploymentPhase.COMMITTED):
        return False
    is_new_deployment = goal.deployment is not None and now.ended_as is None
    return is_new_deployment or goal.release.sha256 != now.current_sha256
