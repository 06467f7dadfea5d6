"""Where the device wakes after a power cut, for every step that the journal can name.

Until ``commit`` switches the link, ``current`` is the old release: it runs first whatever the
journal says. ``max_wakes`` bounds crash loops; one wake more parks on the last good release.
"""

from __future__ import annotations

from typing import NamedTuple

from device_agent.deployment import Hand, Step
from inference_core.contract.device import ProgressError
from inference_core.contract.words import FailureCause


class WakeUp(NamedTuple):
    """The step to wake in, and how often one deployment may wake there or later."""

    step: Step
    max_wakes: int


WAKE_UPS: dict[Step, WakeUp] = {
    Step.ACKNOWLEDGE: WakeUp(Step.ACKNOWLEDGE, 50),
    Step.DOWNLOAD: WakeUp(Step.DOWNLOAD, 50),  # the part that came is resumed
    Step.VERIFY: WakeUp(Step.VERIFY, 50),
    Step.STAGE: WakeUp(Step.STAGE, 50),
    Step.WAIT_WINDOW: WakeUp(Step.WAIT_WINDOW, 1000),  # nothing is at risk while it waits
    Step.ACTIVATE: WakeUp(Step.ACTIVATE, 3),
    Step.PROBE: WakeUp(Step.ACTIVATE, 3),  # the candidate is gone: it must prove itself afresh
    Step.COMMIT: WakeUp(Step.COMMIT, 3),  # the link may point to either; switching is repeatable
    Step.ROLL_BACK: WakeUp(Step.ROLL_BACK, 3),
    Step.GIVE_UP: WakeUp(Step.GIVE_UP, 3),
}

COUNTS_ANEW = frozenset({Step.ACTIVATE, Step.ROLL_BACK, Step.GIVE_UP})
"""Wakes are counted afresh from these on: a slow download over many power cuts is no reason to
distrust a release, three power cuts while it runs are."""


def wake(hand: Hand) -> Hand:
    """The deployment as it goes on after the agent has started; pure."""
    step, max_wakes = WAKE_UPS[hand.step]
    wakes = hand.wakes + 1
    failure = hand.failure
    if failure is None and wakes > max_wakes:
        failure = ProgressError(
            cause=FailureCause.INTERRUPTED,
            detail=f"the device stopped {wakes} times in step {hand.step}",
        )
    return hand.model_copy(update={"step": step, "wakes": wakes, "failure": failure})


def must_park(hand: Hand) -> bool:
    """Whether even ending it was interrupted too often: then only the last report is left."""
    is_ending = hand.step in (Step.ROLL_BACK, Step.GIVE_UP)
    return is_ending and hand.wakes > WAKE_UPS[hand.step].max_wakes
