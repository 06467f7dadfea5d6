"""Brings what a build made to the server: resumed where it broke off, never half as whole."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from device_agent.building.calls import TurnCalls
from device_agent.errors import Rejected, Unavailable
from inference_core.contract.build import BuildOutcome
from inference_core.contract.device_build import MAX_PIECE_BYTES, BuildClosing

_CONFLICT = 409
_PAUSE_S = 10.0
"""Under a rate cap pieces are so small that a lease outlives the pause between two."""
_LEAST_PIECE_BYTES = 16 * 1024


def deliver(
    calls: TurnCalls,
    turn: int,
    outcome: BuildOutcome,
    *,
    rate_cap_bytes_s: int | None,
    breathe: Callable[[], None],
) -> BuildClosing:
    """Send the artifact, if there is one, and then the outcome that vouches for its digest.

    ``Unavailable``: call again, it goes on where it was. ``Rejected``: the server does not want
    it. The bytes count only once the outcome is accepted, which names the digest of all of them.
    """
    if outcome.artifact_path is not None:
        _send(calls, turn, Path(outcome.artifact_path), rate_cap_bytes_s, breathe)
    return calls.conclude(f"builds/{turn}", outcome.model_copy(update={"artifact_path": None}))


def _send(
    calls: TurnCalls,
    turn: int,
    path: Path,
    rate_cap_bytes_s: int | None,
    breathe: Callable[[], None],
) -> None:
    received, size = calls.received(turn), _piece_bytes(rate_cap_bytes_s)
    with path.open("rb") as file:
        file.seek(received)
        while piece := file.read(size):
            breathe()
            try:
                received = calls.send_piece(turn, received, piece)
            except Rejected as error:
                if error.status != _CONFLICT:
                    raise
                # The answer to the piece before was lost, or the lease: asking again tells which.
                raise Unavailable(str(error), delay_s=0.0) from error
            if rate_cap_bytes_s:
                time.sleep(len(piece) / rate_cap_bytes_s)


def _piece_bytes(rate_cap_bytes_s: int | None) -> int:
    if rate_cap_bytes_s is None:
        return MAX_PIECE_BYTES
    return min(MAX_PIECE_BYTES, max(_LEAST_PIECE_BYTES, round(rate_cap_bytes_s * _PAUSE_S)))
