"""Ranged, resumed, hashed downloads that never need the space of a file twice."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from device_agent.admission import SignedTarget
from device_agent.errors import Rejected, Unavailable
from device_agent.files import CHUNK_BYTES, sync_folder
from device_agent.remote_files import PATIENCE, Patience, RemoteFiles, read_patiently
from device_agent.web import requests
from inference_core.contract.release import TargetRef
from inference_core.contract.words import FailureCause

_DIGEST = {"sha256": re.compile("[0-9a-f]{64}"), "sha512": re.compile("[0-9a-f]{128}")}
_RANGE = re.compile(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18}|\*)")
_NAP_S = 1.0
_WINDOW_S = 2.0


@dataclass(frozen=True)
class Transfer:
    """A file on its way: bytes that are here, and bytes that it has."""

    path: str
    done: int
    total: int


class Downloader:
    """Fetches targets into ``partial`` and moves them, verified, to where they belong.

    ``on_piece`` is called between two pieces and may raise to interrupt. ``transfer`` is the
    file that is being fetched now, for other threads to look at.
    """

    def __init__(
        self,
        files: RemoteFiles,
        partial: Path,
        *,
        disk_reserve_bytes: int,
        on_piece: Callable[[], None] = lambda: None,
        patience: Patience = PATIENCE,
    ) -> None:
        self._files, self._partial, self._patience = files, partial, patience
        self._reserve_bytes, self._on_piece = disk_reserve_bytes, on_piece
        self.transfer: Transfer | None = None

    def fetch(self, target: TargetRef, destination: Path, rate_cap_bytes_s: int | None) -> None:
        """Bring the bytes of ``target`` to ``destination``, as ``fetch_signed`` does."""
        signed = SignedTarget(target.path, target.length, {"sha256": target.sha256}, None)
        self.fetch_signed(signed, destination, rate_cap_bytes_s)

    def fetch_signed(
        self, target: SignedTarget, destination: Path, rate_cap_bytes_s: int | None = None
    ) -> None:
        """Bring the bytes of ``target`` to ``destination``, whole and verified, or not at all.

        ``Unavailable`` keeps the part that came, for the next call. ``Rejected`` with cause
        untrusted: the whole file came in one piece and is not what was signed.
        """
        name = _name(target.path, target.hashes)
        part = self._partial / f"{name}.part"
        self._check_space(target, part)
        resumed = part.exists() and part.stat().st_size > 0
        try:
            digests = self._fill(target, _prefixed(target.path, name), part, rate_cap_bytes_s)
            _check_digests(digests, target)
        except _Useless as error:
            part.unlink()
            if resumed:  # the old part may be what is wrong: take it all again before judging
                raise Unavailable(f"{error}; starting over") from error
            raise Rejected(str(error), cause=FailureCause.UNTRUSTED) from error
        finally:
            self.transfer = None
        part.replace(destination)
        sync_folder(destination.parent)

    def _check_space(self, target: SignedTarget, part: Path) -> None:
        missing = target.length - (part.stat().st_size if part.exists() else 0)
        free = shutil.disk_usage(self._partial).free
        if missing + self._reserve_bytes > free:
            part.unlink(missing_ok=True)
            raise Rejected(
                f"{target.path} needs {missing} bytes and {self._reserve_bytes} in reserve, "
                f"but {free} are free",
                cause=FailureCause.DISK_FULL,
            )

    def _fill(
        self, target: SignedTarget, address: str, part: Path, rate_cap_bytes_s: int | None
    ) -> _Digests:
        """Append what is missing, fsync, and give the digests of all bytes."""
        with _open_for_us_alone(part) as file:
            growing = _Growing(file, target)
            while growing.is_short and self._read_on(growing, address, rate_cap_bytes_s):
                pass  # the next window
            file.flush()
            os.fsync(file.fileno())
        if growing.is_short:
            raise Unavailable(
                f"{target.path} stopped after {growing.size} of {target.length} bytes"
            )
        return growing.digests

    def _read_on(self, part: _Growing, address: str, cap_bytes_s: int | None) -> bool:
        """Ask for the next window and append it; whether all of it came."""
        length, window = part.target.length, _window(cap_bytes_s)
        end = min(part.size + window, length) if window else length
        before = end if end < length else None  # None: to its end, which a resumed one asks for too
        with self._files.open_file(f"targets/{address}", offset=part.size, end=before) as response:
            _check_answer(response, part.target, part.size)
            if response.status_code == 200:  # all of it, whatever was asked for
                part.begin_anew()
                end = length
            began_at, begun = time.monotonic(), part.size
            for piece in read_patiently(response, self._patience):
                part.append(piece)
                self.transfer = Transfer(part.target.path, part.size, length)
                self._on_piece()
                self._hold_back(part.size - begun - window, began_at, cap_bytes_s)
        self._hold_back(part.size - begun, began_at, cap_bytes_s)
        return part.size >= end

    def _hold_back(self, size: int, began_at: float, cap_bytes_s: int | None) -> None:
        """Wait until ``size`` bytes are not too many for the cap, and stay interruptible."""
        if not cap_bytes_s:
            return
        while (ahead_s := size / cap_bytes_s - (time.monotonic() - began_at)) > 0:
            time.sleep(min(ahead_s, _NAP_S))
            self._on_piece()


def is_intact(path: Path, target: SignedTarget) -> bool:
    """Whether ``path`` holds exactly what was signed."""
    if not path.is_file() or path.stat().st_size != target.length:
        return False
    digests = _Digests(target.hashes)
    with path.open("rb") as file:
        _hash_existing(file, target.length, digests)
    return digests.complaint is None


def _window(cap_bytes_s: int | None) -> int:
    """How much is asked for at once under a cap; 0 is all.

    Between two such windows no answer is open: whoever reads one slowly holds a thread of the
    server for as long, and there are more devices in a stage than threads.
    """
    return max(CHUNK_BYTES, int(cap_bytes_s * _WINDOW_S)) if cap_bytes_s else 0


class _Useless(Exception):
    """What came, or what was here before it, is not what was signed."""


class _Digests:
    """Every digest that was signed, over the same bytes."""

    def __init__(self, wanted: Mapping[str, str]) -> None:
        self._wanted = wanted
        self._running = {name: hashlib.new(name) for name in wanted}

    def update(self, chunk: bytes) -> None:
        for running in self._running.values():
            running.update(chunk)

    @property
    def complaint(self) -> str | None:
        """The first digest that is not the signed one, or None."""
        for name, running in self._running.items():
            if running.hexdigest() != self._wanted[name]:
                return f"{name} {running.hexdigest()}"
        return None


class _Growing:
    """A file that gets its bytes one after the other, and the digests of all that it has."""

    def __init__(self, file: IO[bytes], target: SignedTarget) -> None:
        self._file, self.target = file, target
        self.digests = _Digests(target.hashes)
        self.size = _hash_existing(file, target.length, self.digests)

    @property
    def is_short(self) -> bool:
        """Whether bytes are missing."""
        return self.size < self.target.length

    def begin_anew(self) -> None:
        """Forget what is here: the server answers with the whole file."""
        self._file.truncate(0)
        self.digests, self.size = _Digests(self.target.hashes), 0

    def append(self, piece: bytes) -> None:
        """``_Useless`` where it makes the file longer than what was signed."""
        self.size += len(piece)
        if self.size > self.target.length:
            path, length = self.target.path, self.target.length
            raise _Useless(f"{path} is longer than the signed {length} bytes")
        self._file.write(piece)
        self.digests.update(piece)


def _name(path: str, hashes: Mapping[str, str]) -> str:
    """The digest that names the file at the server, and its part here.

    The signer of a delegated role is not trusted to write a digest: it becomes a file's name.
    """
    for algorithm, digest in hashes.items():
        if algorithm not in _DIGEST or not _DIGEST[algorithm].fullmatch(digest):
            raise Rejected(
                f"{path} is signed with {algorithm[:40]!r}, and this device knows "
                f"{' and '.join(_DIGEST)}",
                cause=FailureCause.UNTRUSTED,
            )
    for algorithm in _DIGEST:
        if algorithm in hashes:
            return hashes[algorithm]
    raise Rejected(f"{path} is signed without any digest", cause=FailureCause.UNTRUSTED)


def _prefixed(path: str, digest: str) -> str:
    """Path of consistent snapshots: the digest stands before the file's name."""
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}{digest}.{name}"


def _open_for_us_alone(part: Path) -> IO[bytes]:
    """Open to append. Whatever the umask, no other user may ever write what will be loaded."""
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
    return os.fdopen(os.open(part, flags, 0o644), "ab+")


def _hash_existing(file: IO[bytes], length: int, digests: _Digests) -> int:
    """Feed the bytes that are already here; a part that is too long is thrown away."""
    file.seek(0, os.SEEK_END)
    if file.tell() > length:
        file.truncate(0)
    file.seek(0)
    while chunk := file.read(CHUNK_BYTES):
        digests.update(chunk)
    return file.tell()


def _check_answer(response: requests.Response, target: SignedTarget, offset: int) -> None:
    """See that the body is the file, or its rest from ``offset``."""
    if response.status_code == 206:
        sent = response.headers.get("Content-Range", "")
        found = _RANGE.fullmatch(sent)
        if not found or int(found[1]) != offset or found[2] not in ("*", str(target.length)):
            raise _Useless(f"of {target.path} was sent {sent[:80]!r} from byte {offset}")
    elif response.status_code == 416:
        raise _Useless(f"the server's {target.path} ends before byte {offset}")
    elif response.status_code != 200:
        raise Rejected(
            f"the server does not hand out {target.path}: {response.status_code}",
            cause=FailureCause.DOWNLOAD,
            status=response.status_code,
        )


def _check_digests(digests: _Digests, target: SignedTarget) -> None:
    if digests.complaint:
        raise _Useless(f"the bytes of {target.path} are not the signed ones: {digests.complaint}")
