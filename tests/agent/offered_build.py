"""What a server offers to one device for a turn, and all that the device says of it."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from inference_core.contract.base import Message
from inference_core.contract.build import BuildJob, BuildOutcome
from inference_core.contract.device import BuildOffer
from inference_core.contract.device_build import (
    OFFSET_HEADER,
    BuildBeat,
    BuildClosing,
    BuildFile,
    BuildLease,
    BuildReason,
    BuildSet,
    PieceReply,
)

Reply = tuple[int, bytes]


def works_at(command: str, pid: int) -> bool:
    """Whether it is the child of a turn that runs this command of ``infer``."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:  # it has just ended
        return False
    return command.encode() in words and b"--job" in words


class OfferedTurn(ABC):
    """Everything public may be looked at, and ``is_lost`` be set: then the lease is gone."""

    def __init__(self, turn: int, lease_s: float) -> None:
        self.turn, self._lease_s = turn, lease_s
        self.files: dict[str, bytes] = {}
        self.leases = 0
        self.fetched: list[str] = []
        self.ranges: list[str] = []
        self.stretch = ""
        self.beats: list[BuildBeat] = []
        self.declined: list[str] = []
        self.returned: list[str] = []
        self.is_lost = False

    @property
    def download_bytes(self) -> int:
        return sum(map(len, self.files.values()))

    def answer(self, method: str, rest: str, headers: Any, body: bytes) -> Reply:
        turn, _, verb = rest.partition("/")
        if turn != str(self.turn):
            return 404, b"there is no such turn of this device's"
        if self.is_lost and verb != "decline":
            return 409, b"the lease was lost"
        if verb.startswith("files/"):
            return self._give(verb.removeprefix("files/"), headers)
        return self._call(verb, method, headers, body)

    def _call(self, verb: str, method: str, headers: Any, body: bytes) -> Reply:
        calls = {
            "lease": self._lease,
            "decline": self._take_decline,
            "return": self._take_back,
            "progress": self._take_beat,
            "outcome": self._take_outcome,
        }
        return calls[verb](body)

    @abstractmethod
    def _lease(self, _: bytes) -> Reply:
        """What the lease of this kind of work says."""

    @abstractmethod
    def _take_outcome(self, body: bytes) -> Reply:
        """Keep what came of it."""

    def _give(self, sha256: str, headers: Any) -> Reply:
        self.fetched.append(sha256)
        asked = headers.get("Range") or ""
        self.ranges += [asked] if asked else []
        content = self.files[sha256]
        if not asked:
            return 200, content
        first, _, last = asked.removeprefix("bytes=").partition("-")
        start, end = int(first), int(last or len(content) - 1) + 1
        self.stretch = f"bytes {start}-{end - 1}/{len(content)}"
        return 206, content[start:end]

    def _take_decline(self, body: bytes) -> Reply:
        self.declined.append(BuildReason.model_validate_json(body).reason)
        return 204, b""

    def _take_back(self, body: bytes) -> Reply:
        self.returned.append(BuildReason.model_validate_json(body).reason)
        self.is_lost = True
        return 204, b""

    def _take_beat(self, body: bytes) -> Reply:
        self.beats.append(BuildBeat.model_validate_json(body))
        return 204, b""

    def _keep(self, path: Path) -> str:
        content = path.read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        self.files[sha256] = content
        return sha256

    def _read(self, folder: str, sha256: str) -> BuildSet:
        root = Path(folder)
        paths = sorted(path for path in root.rglob("*") if path.is_file())
        files = [
            BuildFile(path=str(path.relative_to(root)), sha256=self._keep(path)) for path in paths
        ]
        length = sum(path.stat().st_size for path in paths)
        return BuildSet(sha256=sha256, length=length, files=tuple(files))


class OfferedBuild(OfferedTurn):
    """A build."""

    def __init__(self, job: BuildJob, *, turn: int = 1, lease_s: float = 60.0) -> None:
        super().__init__(turn, lease_s)
        self._job = job
        self._model = self._keep(Path(job.model_path))
        self._sets = [self._read(job.calibration_dir, job.calibration_sha256)]
        self._sets += [self._read(job.golden_dir, job.golden_sha256)]
        self.artifact = bytearray()
        self.outcomes: list[BuildOutcome] = []

    @property
    def offer(self) -> BuildOffer:
        runtime, size = self._job.profile.runtime, self.download_bytes
        return BuildOffer(turn=self.turn, build=9, runtime=runtime, download_bytes=size)

    def _call(self, verb: str, method: str, headers: Any, body: bytes) -> Reply:
        if verb == "artifact":
            return self._take_piece(method, headers, body)
        return super()._call(verb, method, headers, body)

    def _lease(self, _: bytes) -> Reply:
        self.leases += 1
        job, model = self._job, self.files[self._model]
        calibration, golden = self._sets
        return ok(
            BuildLease(
                turn=self.turn,
                build=9,
                lease_s=self._lease_s,
                source_sha256=self._model,
                source_length=len(model),
                manifest=job.manifest,
                profile=job.profile,
                calibration=calibration,
                golden=golden,
            )
        )

    def _take_piece(self, method: str, headers: Any, body: bytes) -> Reply:
        if method == "PATCH":
            if int(headers[OFFSET_HEADER]) != len(self.artifact):
                return 409, b"the next byte is another one"
            self.artifact += body
        return ok(PieceReply(received=len(self.artifact)))

    def _take_outcome(self, body: bytes) -> Reply:
        outcome = BuildOutcome.model_validate_json(body)
        if hashlib.sha256(self.artifact).hexdigest() != outcome.artifact_sha256:
            return 422, b"the artifact is not the one that was certified"
        self.outcomes.append(outcome)
        return ok(BuildClosing(state="succeeded", reason=outcome.reason))


def ok(message: Message) -> Reply:
    return 200, message.to_json()
