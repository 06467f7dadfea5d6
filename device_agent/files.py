"""Files that appear whole or not at all, also after a power cut."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import tempfile
from pathlib import Path

CHUNK_BYTES = 1 << 18
_UNFINISHED = ".unfinished"


def sync_folder(folder: Path) -> None:
    """Make renames in ``folder`` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Make every file below ``folder`` durable; for libraries that do not fsync themselves."""
    for root, _, names in os.walk(folder):
        for name in names:
            descriptor = os.open(Path(root, name), os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        sync_folder(Path(root))


def make_folder(folder: Path, mode: int = 0o755) -> Path:
    """Create ``folder`` and its parents, and make their names durable."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(mode=mode, exist_ok=True)
        sync_folder(folder.parent)
    return folder


def shut_out_others(folder: Path) -> None:
    """Take from group and others the right to put or replace files in ``folder``.

    ``PermissionError``: it belongs to another user, who could swap what has been verified.
    """
    mode = folder.stat().st_mode
    if mode & 0o022:
        try:
            folder.chmod(mode & ~0o022 & 0o7777)
        except OSError as error:
            if error.errno != errno.EROFS:  # there, nobody can write anything
                raise


def write_atomically(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Write, fsync, rename, fsync the folder: readers see the old file or the new one."""
    descriptor, name = tempfile.mkstemp(
        dir=path.parent, prefix=f".{path.name}.", suffix=_UNFINISHED
    )
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)  # noqa: PTH105 - the name is a string here
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()
        raise
    sync_folder(path.parent)


def remove_unfinished(folder: Path) -> None:
    """Remove what a power cut has left of ``write_atomically`` and ``point_link``; at a start.

    A disk that is read-only keeps it.
    """
    with contextlib.suppress(OSError):
        for path in (*folder.rglob(f".*{_UNFINISHED}"), *folder.glob(".*.new")):
            path.unlink()


def point_link(link: Path, target: str) -> None:
    """Switch the symbolic link by rename + folder fsync: it never points nowhere."""
    fresh = link.with_name(f".{link.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    os.replace(fresh, link)  # noqa: PTH105 - as above, so that tests can watch the order
    sync_folder(link.parent)


def digest_of(path: Path) -> str:
    """SHA-256 of the file, lower-case hex; one chunk in memory at a time."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def set_aside(path: Path) -> Path:
    """Rename a broken database out of the way, with its WAL, and give the new name."""
    number = 1
    while (aside := path.with_name(f"{path.name}.broken-{number}")).exists():
        number += 1
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    path.replace(aside)
    sync_folder(path.parent)
    return aside
