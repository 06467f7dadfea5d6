"""What a device says to the server in a turn of its own: one method a call.

``place`` is where the server has the turn: ``builds/7``, or ``checks/7`` for golden cases.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import requests

from device_agent.gateway import Gateway
from inference_core.contract.build import BuildOutcome
from inference_core.contract.device_build import (
    OFFSET_HEADER,
    BuildBeat,
    BuildClosing,
    BuildLease,
    BuildReason,
    PieceReply,
)
from inference_core.contract.device_check import CheckLease
from inference_core.contract.golden import PipelineOutcome


class TurnCalls(Gateway):
    """As every gateway: ``Unavailable`` is later, ``Rejected`` is never again as it is."""

    def lease_build(self, turn: int) -> BuildLease:
        """Take an offer; asking again gives the same. ``Rejected``: it is over."""
        answer = self._call("POST", f"/builds/{turn}/lease", b"{}")
        return self._exchange.parse(BuildLease, answer)

    def lease_check(self, turn: int) -> CheckLease:
        """The same for golden cases."""
        answer = self._call("POST", f"/checks/{turn}/lease", b"{}")
        return self._exchange.parse(CheckLease, answer)

    def decline(self, place: str, reason: str) -> None:
        """Leave an offer to another device."""
        self._give(place, "decline", reason)

    def give_back(self, place: str, reason: str) -> None:
        """Give back what has begun."""
        self._give(place, "return", reason)

    def beat(self, place: str, beat: BuildBeat) -> None:
        """Keep the lease. ``Rejected``: it is lost."""
        self._call("POST", f"/{place}/progress", beat.to_json())

    def received(self, turn: int) -> int:
        """How many bytes of the artifact the server has."""
        answer = self._call("GET", f"/builds/{turn}/artifact")
        return self._exchange.parse(PieceReply, answer).received

    def send_piece(self, turn: int, start: int, content: bytes) -> int:
        """Append to the artifact, at a byte; how many the server has now."""
        headers = {OFFSET_HEADER: str(start), "Content-Type": "application/octet-stream"}
        answer = self._call("PATCH", f"/builds/{turn}/artifact", content, headers=headers)
        return self._exchange.parse(PieceReply, answer).received

    def conclude(self, place: str, outcome: BuildOutcome | PipelineOutcome) -> BuildClosing:
        """Say what came of it; a repeat is free."""
        answer = self._call("POST", f"/{place}/outcome", outcome.to_json())
        return self._exchange.parse(BuildClosing, answer)

    def open_part(
        self, place: str, sha256: str, *, offset: int = 0, end: int | None = None
    ) -> AbstractContextManager[requests.Response]:
        """Stream a file that the turn needs; see ``open_file``."""
        return self.open_at(f"/{place}/files/{sha256}", offset=offset, end=end)

    def _give(self, place: str, verb: str, reason: str) -> None:
        self._call("POST", f"/{place}/{verb}", BuildReason(reason=reason[:2000]).to_json())


class TurnFiles:
    """Files of a turn, as ``Downloader`` wants files: named by a digest before the name."""

    def __init__(self, calls: TurnCalls, place: str) -> None:
        self._calls, self._place = calls, place

    @contextmanager
    def open_file(
        self, path: str, *, offset: int = 0, end: int | None = None
    ) -> Iterator[requests.Response]:
        """As ``RemoteFiles`` promises."""
        sha256 = path.rpartition("/")[2].partition(".")[0]
        with self._calls.open_part(self._place, sha256, offset=offset, end=end) as response:
            yield response
