"""Puts bytes under their name whole, or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from pathlib import Path

from inference_core.errors import BadInput, NotNow

_NOT_NOW = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.ENOMEM})
"""What says nothing against the path: no room, or a failing disk, which turns read-only."""


def publish(data: bytes, folder: Path, suffix: str) -> tuple[Path, str]:
    """Write ``data`` to ``folder`` under its SHA-256; the path and the digest.

    The bytes are on the disk before the name is, so a power cut leaves either all or none.
    """
    digest = hashlib.sha256(data).hexdigest()
    path = folder.resolve() / f"{digest}{suffix}"
    write_whole(path, data)
    return path, digest


def write_whole(path: Path, data: bytes) -> None:
    """Replace ``path`` atomically and durably.

    Raises ``BadInput`` where the path is none to write to, ``NotNow`` for a full or failing disk.
    """
    try:
        _write_whole(path, data)
    except OSError as error:
        kind = NotNow if error.errno in _NOT_NOW else BadInput
        raise kind(f"{path} cannot be written: {error.strerror or error}") from error


def _write_whole(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
