"""Ranged, resumed, hashed downloads that never need the space of a file twice."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

import requests

from device_agent.errors import Rejected, Unavailable
from device_agent.files import CHUNK_BYTES, sync_folder
from device_agent.gateway import Gateway, read_pieces
from inference_core.contract.release import TargetRef
from inference_core.contract.words import FailureCause

MIN_RATE_BYTES_S = 512
_RATE_WINDOW_S = 30.0


class Downloader:
    """Fetches targets into ``partial`` and moves them, verified, to where they belong."""

    def __init__(
        self,
        gateway: Gateway,
        partial: Path,
        *,
        disk_reserve_bytes: int,
        on_piece: Callable[[], None] = lambda: None,
    ) -> None:
        self._gateway, self._partial = gateway, partial
        self._reserve_bytes, self._on_piece = disk_reserve_bytes, on_piece

    def fetch(self, target: TargetRef, destination: Path, rate_cap_bytes_s: int | None) -> None:
        """Bring the bytes of ``target`` to ``destination``, whole and verified, or not at all.

        ``Unavailable`` keeps the part that came, for the next call. ``Rejected`` with cause
        untrusted: the whole file came in one piece and is not what was signed.
        """
        part = self._partial / f"{target.sha256}.part"
        self._check_space(target, part)
        resumed = part.exists() and part.stat().st_size > 0
        digest = self._fill(target, part, rate_cap_bytes_s)
        if digest != target.sha256:
            part.unlink()
            if resumed:  # the old part may be what is wrong: take it all again before judging
                raise Unavailable(f"{target.path} did not match after resuming; starting over")
            raise Rejected(
                f"the bytes of {target.path} are not the signed ones: digest {digest}",
                cause=FailureCause.UNTRUSTED,
            )
        part.replace(destination)
        sync_folder(destination.parent)

    def _check_space(self, target: TargetRef, part: Path) -> None:
        missing = target.length - (part.stat().st_size if part.exists() else 0)
        free = shutil.disk_usage(self._partial).free
        if missing + self._reserve_bytes > free:
            part.unlink(missing_ok=True)
            raise Rejected(
                f"{target.path} needs {missing} bytes and {self._reserve_bytes} in reserve, "
                f"but {free} are free",
                cause=FailureCause.DISK_FULL,
            )

    def _fill(self, target: TargetRef, part: Path, rate_cap_bytes_s: int | None) -> str:
        """Append what is missing, fsync, and give the digest of all bytes."""
        digest = hashlib.sha256()
        with part.open("ab+") as file:
            offset = _hash_existing(file, target.length, digest.update)
            if offset < target.length:
                path = f"targets/{_prefixed(target)}"
                with self._gateway.open_file(path, offset=offset) as response:
                    if response.status_code == 200 and offset:  # no ranges here: from the start
                        file.truncate(0)
                        digest, offset = hashlib.sha256(), 0
                    _check_status(response, target)
                    pace = _Pace(rate_cap_bytes_s)
                    for piece in read_pieces(response):
                        offset += len(piece)
                        _check_length(offset, target)
                        file.write(piece)
                        digest.update(piece)
                        pace.count(len(piece))
                        self._on_piece()
            file.flush()
            os.fsync(file.fileno())
        if offset < target.length:
            raise Unavailable(f"{target.path} stopped after {offset} of {target.length} bytes")
        return digest.hexdigest()


class _Pace:
    """Sleeps to stay below a cap, and gives up on a server that trickles."""

    def __init__(self, cap_bytes_s: int | None) -> None:
        self._cap_bytes_s = cap_bytes_s
        self._began_at = self._window_at = time.monotonic()
        self._total = self._in_window = 0

    def count(self, size: int) -> None:
        self._total += size
        self._in_window += size
        now = time.monotonic()
        if now - self._window_at > _RATE_WINDOW_S:
            if self._in_window < MIN_RATE_BYTES_S * (now - self._window_at):
                raise Unavailable(f"the server sends less than {MIN_RATE_BYTES_S} bytes a second")
            self._window_at, self._in_window = now, 0
        if self._cap_bytes_s:
            ahead_s = self._total / self._cap_bytes_s - (now - self._began_at)
            if ahead_s > 0:
                time.sleep(min(ahead_s, 5.0))


def _hash_existing(file: IO[bytes], length: int, update: Callable[[bytes], None]) -> int:
    """Feed the bytes that are already here; a part that is too long is thrown away."""
    file.seek(0, os.SEEK_END)
    if file.tell() > length:
        file.truncate(0)
    file.seek(0)
    while chunk := file.read(CHUNK_BYTES):
        update(chunk)
    return file.tell()


def _check_status(response: requests.Response, target: TargetRef) -> None:
    if response.status_code not in (200, 206):
        raise Rejected(
            f"the server does not hand out {target.path}: {response.status_code}",
            cause=FailureCause.DOWNLOAD,
            status=response.status_code,
        )


def _check_length(received: int, target: TargetRef) -> None:
    if received > target.length:
        raise Rejected(
            f"{target.path} is longer than the signed {target.length} bytes",
            cause=FailureCause.UNTRUSTED,
        )


def _prefixed(target: TargetRef) -> str:
    """Path of consistent snapshots: the digest stands before the file's name."""
    folder, slash, name = target.path.rpartition("/")
    return f"{folder}{slash}{target.sha256}.{name}"
