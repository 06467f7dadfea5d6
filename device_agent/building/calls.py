"""What a device says to the server of a build of its own: one method a call."""

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


class BuildCalls(Gateway):
    """As every gateway: ``Unavailable`` is later, ``Rejected`` is never again as it is."""

    def lease(self, turn: int) -> BuildLease:
        """Take an offer; asking again gives the same. ``Rejected``: it is over."""
        answer = self._call("POST", f"/builds/{turn}/lease", b"{}")
        return self._exchange.parse(BuildLease, answer)

    def decline(self, turn: int, reason: str) -> None:
        """Leave an offer to another device."""
        self._give(turn, "decline", reason)

    def give_back(self, turn: int, reason: str) -> None:
        """Give a build back that has begun."""
        self._give(turn, "return", reason)

    def beat(self, turn: int, beat: BuildBeat) -> None:
        """Keep the lease. ``Rejected``: it is lost."""
        self._call("POST", f"/builds/{turn}/progress", beat.to_json())

    def received(self, turn: int) -> int:
        """How many bytes of the artifact the server has."""
        answer = self._call("GET", f"/builds/{turn}/artifact")
        return self._exchange.parse(PieceReply, answer).received

    def send_piece(self, turn: int, start: int, content: bytes) -> int:
        """Append to the artifact, at a byte; how many the server has now."""
        headers = {OFFSET_HEADER: str(start), "Content-Type": "application/octet-stream"}
        answer = self._call("PATCH", f"/builds/{turn}/artifact", content, headers=headers)
        return self._exchange.parse(PieceReply, answer).received

    def conclude(self, turn: int, outcome: BuildOutcome) -> BuildClosing:
        """Say what came of the build; a repeat is free."""
        answer = self._call("POST", f"/builds/{turn}/outcome", outcome.to_json())
        return self._exchange.parse(BuildClosing, answer)

    def open_part(
        self, turn: int, sha256: str, *, offset: int = 0
    ) -> AbstractContextManager[requests.Response]:
        """Stream a file that the build needs; see ``open_file``."""
        return self.open_at(f"/builds/{turn}/files/{sha256}", offset=offset)

    def _give(self, turn: int, verb: str, reason: str) -> None:
        self._call("POST", f"/builds/{turn}/{verb}", BuildReason(reason=reason[:2000]).to_json())


class SourceFiles:
    """The model of a build, as ``Downloader`` wants files: named by a digest before the name."""

    def __init__(self, calls: BuildCalls, turn: int) -> None:
        self._calls, self._turn = calls, turn

    @contextmanager
    def open_file(self, path: str, *, offset: int = 0) -> Iterator[requests.Response]:
        """As ``RemoteFiles`` promises."""
        sha256 = path.rpartition("/")[2].partition(".")[0]
        with self._calls.open_part(self._turn, sha256, offset=offset) as response:
            yield response
