"""What a device does with its turn at a build: takes it, goes on, declines it, gives it back."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from server.builds.models import Build, BuildTurn
from server.builds.services import uploads
from server.builds.services.leases import extend_lease, lease_build
from server.builds.services.outcomes import give_up
from server.builds.states import TURN, BuildState, TurnEnd, TurnState
from server.fleet.services import announce
from server.lib import clock
from server.lib.errors import Conflict
from server.lib.states import StaleState, move

MAX_REASON = 2000


def take_turn(*, turn: BuildTurn) -> Build:
    """Lease the build for the turn's device; again gives the same lease.

    Conflict where the offer is over, or the build was taken away meanwhile.
    """
    if turn.state == TurnState.OFFERED:
        build = _lease(turn)
        if build is not None:
            return build
        end_turn(turn, TurnEnd.WITHDRAWN, "The build was not waiting any more.", actor=turn.owner)
    if turn.state == TurnState.LEASED and extend_lease(build=turn.build, owner=turn.owner):
        return turn.build
    raise Conflict("This turn is over: the build is not this device's any more.")


def _lease(turn: BuildTurn) -> Build | None:
    with transaction.atomic():
        build = lease_build(build_id=turn.build_id, owner=turn.owner)
        if build is not None:
            move(TURN, turn, TurnState.LEASED, actor=turn.owner, leased_at=clock.now())
    return build


def continue_turn(*, turn: BuildTurn, **progress: Any) -> None:
    """Keep the lease and store ``progress``; Conflict where it is lost."""
    if turn.state != TurnState.LEASED or not extend_lease(
        build=turn.build, owner=turn.owner, **progress
    ):
        raise Conflict("The lease of this build was lost; its result is not used.")


def decline_turn(*, turn: BuildTurn, reason: str) -> None:
    """Leave an offer to another device; costs no attempt. Twice is as good as once."""
    if turn.state == TurnState.LEASED:
        raise Conflict("The build has begun here; give it back instead.")
    end_turn(turn, TurnEnd.DECLINED, reason, actor=turn.owner)


def return_turn(*, turn: BuildTurn, reason: str) -> None:
    """Give a leased build back, for the next attempt; Conflict where the lease is lost."""
    if turn.state == TurnState.OFFERED:
        decline_turn(turn=turn, reason=reason)
        return
    why = f"{turn.device} gave it back: {reason}"[:MAX_REASON]
    with transaction.atomic():
        give_up(build=turn.build, owner=turn.owner, why=why, is_final=False)
        end_turn(turn, TurnEnd.RETURNED, reason, actor=turn.owner)


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


def is_over_with(turn: BuildTurn) -> bool:
    """Whether this turn brought the build to its end."""
    return turn.ended == TurnEnd.FINISHED and turn.build.state != BuildState.LEASED
