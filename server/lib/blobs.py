"""Bytes named by their digest, in any Django storage (a folder, or S3)."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from django.core.files.base import File
from django.core.files.storage import default_storage

from server.lib.errors import TooLarge
from server.lib.storage import StorageAway, the_storage

CHUNK_BYTES = 1024 * 1024


class BlobDamaged(StorageAway):
    """The stored bytes are not those that their name promises."""


@dataclass(frozen=True)
class Blob:
    """Stored bytes: lower-case SHA-256 in hex, and their number."""

    sha256: str
    length: int


def _name(sha256: str) -> str:
    return f"sha256/{sha256[:2]}/{sha256}"


def put(chunks: Iterable[bytes], *, max_bytes: int) -> Blob:
    """Store a stream; raises TooLarge past ``max_bytes``, and then stores nothing."""
    digest, length = hashlib.sha256(), 0
    with tempfile.TemporaryFile() as spool:
        for chunk in chunks:
            length += len(chunk)
            if length > max_bytes:
                raise TooLarge(
                    f"The upload is larger than the {max_bytes} bytes that are allowed.",
                    max_bytes=max_bytes,
                )
            digest.update(chunk)
            spool.write(chunk)
        blob = Blob(digest.hexdigest(), length)
        if not _is_stored(blob):
            spool.seek(0)
            default_storage.save(_name(blob.sha256), File(spool))
    return blob


def put_bytes(content: bytes) -> Blob:
    """Store bytes that the server itself made."""
    return put([content], max_bytes=len(content))


def exists(sha256: str) -> bool:
    """Whether bytes with this digest are stored."""
    return default_storage.exists(_name(sha256))


def open_blob(sha256: str, start: int = 0) -> IO[bytes]:
    """The stored bytes from ``start`` on as a file; FileMissing where there are none."""
    return the_storage().open_from(_name(sha256), start)


def read(sha256: str) -> bytes:
    """The whole content, verified; for what is known to be small. Raises BlobDamaged."""
    with open_blob(sha256) as file:
        content = file.read()
    _require(sha256, hashlib.sha256(content).hexdigest())
    return content


def copy(sha256: str, path: Path) -> None:
    """Write the content to a new file, verified. Raises BlobDamaged and leaves no file."""
    digest = hashlib.sha256()
    with open_blob(sha256) as blob, path.open("xb") as file:
        while chunk := blob.read(CHUNK_BYTES):
            digest.update(chunk)
            file.write(chunk)
    try:
        _require(sha256, digest.hexdigest())
    except BlobDamaged:
        path.unlink()
        raise


def _require(sha256: str, found: str) -> None:
    if found != sha256:
        raise BlobDamaged(f"The stored bytes of {sha256} are damaged; restore them from a copy.")


def _is_stored(blob: Blob) -> bool:
    """Also by length: what some restored copy lost is written again."""
    try:
        return default_storage.size(_name(blob.sha256)) == blob.length
    except FileNotFoundError:
        return False
