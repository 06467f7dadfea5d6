"""What a device does with its turn: takes it, goes on, declines it, gives it back."""

from __future__ import annotations

from collections.abc import Callable

from django.db import transaction

from inference_core.contract.build import BuildOutcome
from inference_core.contract.device_build import BuildBeat
from inference_core.contract.golden import PipelineOutcome
from server.builds.errors import OutcomeError
from server.builds.models import BuildTurn
from server.builds.services import uploads
from server.builds.services.works import work_of
from server.builds.states import TURN, TurnEnd, TurnState
from server.fleet.services import announce
from server.lib import clock
from server.lib.errors import Conflict, Invalid, TooLarge
from server.lib.states import StaleState, move

MAX_REASON = 2000


def take_turn(*, turn: BuildTurn) -> None:
    """Lease what the turn is at for its device; again gives the same lease.

    Conflict where the offer is over, or the work was taken away meanwhile.
    """
    if turn.state == TurnState.OFFERED:
        if _lease(turn):
            return
        end_turn(turn, TurnEnd.WITHDRAWN, "It was not waiting any more.", actor=turn.owner)
    if turn.state == TurnState.LEASED and work_of(turn).extend(turn.owner, None):
        return
    raise Conflict("This turn is over: it is not this device's any more.")


def _lease(turn: BuildTurn) -> bool:
    with transaction.atomic():
        is_ours = work_of(turn).lease(turn.owner)
        if is_ours:
            move(TURN, turn, TurnState.LEASED, actor=turn.owner, leased_at=clock.now())
    return is_ours


def require_lease(turn: BuildTurn) -> None:
    """Conflict unless the turn's device has the lease."""
    if turn.state != TurnState.LEASED or not work_of(turn).is_held_by(turn.owner):
        raise Conflict("Files are given while the lease is held; this lease was lost.")


def continue_turn(*, turn: BuildTurn, beat: BuildBeat | None = None) -> None:
    """Keep the lease and store how far it is; Conflict where it is lost."""
    if turn.state != TurnState.LEASED or not work_of(turn).extend(turn.owner, beat):
        raise Conflict("The lease was lost; nothing of this turn is used.")


def decline_turn(*, turn: BuildTurn, reason: str) -> None:
    """Leave an offer to another device; costs no attempt. Twice is as good as once."""
    if turn.state == TurnState.LEASED:
        raise Conflict("It has begun here; give it back instead.")
    end_turn(turn, TurnEnd.DECLINED, reason, actor=turn.owner)


def return_turn(*, turn: BuildTurn, reason: str) -> None:
    """Give leased work back, for the next attempt; Conflict where the lease is lost."""
    if turn.state == TurnState.OFFERED:
        decline_turn(turn=turn, reason=reason)
        return
    why = f"{turn.device} gave it back: {reason}"[:MAX_REASON]
    with transaction.atomic():
        work_of(turn).give_up(turn.owner, why)
        end_turn(turn, TurnEnd.RETURNED, reason, actor=turn.owner)


def finish_turn(
    *, turn: BuildTurn, outcome: BuildOutcome | PipelineOutcome, record: Callable[[], None]
) -> None:
    """End the work as its device says, by ``record``; said again, nothing happens.

    What the device could not do just now is given back, for another attempt. Conflict where the
    lease is lost. Invalid where the outcome is not of this work: then it is given back too, for
    one wrong device must not end it for all others.
    """
    if turn.ended == TurnEnd.FINISHED and work_of(turn).is_over:
        return
    continue_turn(turn=turn)
    if outcome.outcome == "failed" and not outcome.is_final:
        return_turn(turn=turn, reason=outcome.reason)
        return
    try:
        record()
    except (OutcomeError, TooLarge) as error:
        why = f"The result is not used: {error}"
        return_turn(turn=turn, reason=why)
        raise Invalid(why) from None


def end_turn(turn: BuildTurn, ended: TurnEnd, reason: str, *, actor: str) -> bool:
    """End an open turn and drop what it had sent; whether it was open."""
    if turn.state == TurnState.ENDED:
        return False
    reason = reason[:MAX_REASON]
    changes = {"ended": ended, "why": reason, "ended_at": clock.now()}
    try:
        with transaction.atomic():
            move(TURN, turn, TurnState.ENDED, actor=actor, reason=reason, **changes)
            uploads.drop_pieces(turn)
            announce([turn.device_id])
    except StaleState:
        return False  # taken, or ended by somebody else
    return True
