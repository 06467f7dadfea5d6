"""The planner and the wake-up table: pure functions, every row a promise."""

from __future__ import annotations

import uuid

import pytest

from device_agent.deployment import FORWARD, Hand, Step
from device_agent.plan import Situation, is_superseded, plan, window_of
from device_agent.wakeup import WAKE_UPS, must_park, wake
from inference_core.contract.device import DeploymentRef, Goal, ProgressError
from inference_core.contract.release import TargetRef
from inference_core.contract.window import UpdateWindow, WindowSlot
from inference_core.contract.words import DeploymentPhase, FailureCause

NEW, OLD = "a" * 64, "b" * 64


def goal(sha256: str | None = NEW, generation: int = 1, *, deployed: bool = True) -> Goal:
    return Goal(
        generation=generation,
        release=sha256 and TargetRef(path="p/releases/r.json", sha256=sha256, length=1),
        deployment=DeploymentRef(id=uuid.uuid4(), version=0) if deployed else None,
    )


def situation(**changes: object) -> Situation:
    values = {"goal": goal(), "hand": None, "current_sha256": OLD, "ended_as": None}
    return Situation(**values | changes)


def hand(step: Step, **changes: object) -> Hand:
    return Hand(goal=goal(), step=step, old_sha256=OLD).model_copy(update=changes)


FAILURE = ProgressError(cause=FailureCause.CRASHED, detail="it died")


def test_a_new_deployment_takes_every_step_in_order() -> None:
    assert plan(situation()) == FORWARD


def test_a_deployment_of_what_already_runs_is_still_proven() -> None:
    assert plan(situation(current_sha256=NEW)) == FORWARD


@pytest.mark.parametrize(
    "nothing",
    [
        {"goal": None},
        {"goal": goal(None)},
        {"goal": goal(deployed=False), "current_sha256": NEW},
        {"ended_as": DeploymentPhase.COMMITTED, "current_sha256": NEW},
        {"ended_as": DeploymentPhase.ROLLED_BACK},
        {"ended_as": DeploymentPhase.REJECTED},
        {"may_update": False},
    ],
)
def test_there_is_nothing_to_do(nothing: dict[str, object]) -> None:
    assert plan(situation(**nothing)) == ()


def test_a_committed_release_whose_files_rotted_is_brought_back() -> None:
    assert plan(situation(ended_as=DeploymentPhase.COMMITTED)) == FORWARD


@pytest.mark.parametrize("step", FORWARD)
def test_what_is_in_hand_goes_on_where_it_was(step: Step) -> None:
    now = situation(hand=hand(step, old_sha256="0" * 64), window_is_open=False)
    assert plan(now)[0] is step


def test_a_closed_window_holds_a_deployment_back_before_it_disturbs_anything() -> None:
    ahead = plan(situation(hand=hand(Step.STAGE), window_is_open=False))
    assert ahead[:3] == (Step.STAGE, Step.WAIT_WINDOW, Step.ACTIVATE)
    ahead = plan(situation(hand=hand(Step.WAIT_WINDOW), window_is_open=True))
    assert ahead[0] is Step.ACTIVATE


@pytest.mark.parametrize(
    "undisturbing",
    [
        hand(Step.STAGE, old_sha256=None),
        hand(Step.STAGE, goal=goal(deployed=False)),
    ],
    ids=["a first release", "a repair"],
)
def test_what_disturbs_nobody_waits_for_no_window(undisturbing: Hand) -> None:
    ahead = plan(situation(hand=undisturbing, window_is_open=False))
    assert ahead[:2] == (Step.STAGE, Step.ACTIVATE)


@pytest.mark.parametrize("step", [Step.PROBE, Step.COMMIT, Step.ROLL_BACK])
def test_a_window_that_closes_meanwhile_stops_nothing_that_has_begun(step: Step) -> None:
    assert plan(situation(hand=hand(step), window_is_open=False))[0] is step


def test_the_window_of_the_newest_goal_counts_where_it_is_the_same_deployment() -> None:
    window = UpdateWindow(slots=(WindowSlot(starts_at="03:00", duration_min=60),))
    waiting = hand(Step.WAIT_WINDOW)
    closed = waiting.goal.model_copy(update={"generation": 2, "window": window})
    assert window_of(waiting, closed) == window
    assert window_of(hand(Step.WAIT_WINDOW, goal=closed), waiting.goal) is None
    assert window_of(hand(Step.WAIT_WINDOW, goal=closed), goal()) == window


@pytest.mark.parametrize("step", FORWARD)
@pytest.mark.parametrize("end", [{"failure": FAILURE}, {"superseded": True}])
def test_what_is_lost_is_rolled_back_once_activated_and_given_up_before(
    step: Step, end: dict[str, object]
) -> None:
    is_activated = FORWARD.index(step) >= FORWARD.index(Step.ACTIVATE)
    expected = Step.ROLL_BACK if is_activated else Step.GIVE_UP
    assert plan(situation(hand=hand(step, **end))) == (expected,)


def test_the_highest_generation_wins() -> None:
    mine = hand(Step.DOWNLOAD)
    assert is_superseded(mine, goal(OLD, generation=2))
    assert not is_superseded(mine, goal(OLD, generation=1))
    assert not is_superseded(mine, mine.goal.model_copy(update={"generation": 2}))
    assert is_superseded(mine, goal(None, generation=2, deployed=False))
    assert not is_superseded(hand(Step.COMMIT), goal(OLD, generation=2))


def test_every_step_has_a_place_to_wake() -> None:
    assert set(WAKE_UPS) == set(Step)


def test_a_candidate_must_prove_itself_afresh_after_a_power_cut() -> None:
    assert wake(hand(Step.PROBE)).step is Step.ACTIVATE


@pytest.mark.parametrize("step", [Step.ACTIVATE, Step.PROBE, Step.COMMIT])
def test_three_power_cuts_are_forgiven_and_the_fourth_is_not(step: Step) -> None:
    assert wake(hand(step, wakes=2)).failure is None
    fourth = wake(hand(step, wakes=3))
    assert fourth.failure is not None
    assert fourth.failure.cause is FailureCause.INTERRUPTED
    assert plan(situation(hand=fourth)) == (Step.ROLL_BACK,)


@pytest.mark.parametrize("step", [Step.ROLL_BACK, Step.GIVE_UP])
def test_an_end_that_is_interrupted_too_often_parks(step: Step) -> None:
    assert not must_park(wake(hand(step, wakes=2)))
    assert must_park(wake(hand(step, wakes=3)))


@pytest.mark.parametrize(
    ("mine", "phase"),
    [
        (hand(Step.ROLL_BACK, failure=FAILURE), DeploymentPhase.ROLLED_BACK),
        (hand(Step.GIVE_UP, failure=FAILURE), DeploymentPhase.FAILED),
        (
            hand(Step.GIVE_UP, failure=ProgressError(cause=FailureCause.UNTRUSTED, detail="")),
            DeploymentPhase.REJECTED,
        ),
        (hand(Step.ROLL_BACK, superseded=True), DeploymentPhase.SUPERSEDED),
    ],
)
def test_the_last_word_says_how_it_ended(mine: Hand, phase: DeploymentPhase) -> None:
    assert mine.last_phase is phase
