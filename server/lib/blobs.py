"""Bytes named by their digest, in any Django storage (a folder, or S3)."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from typing import IO

from django.core.files.base import File
from django.core.files.storage import default_storage

from server.lib.errors import TooLarge

CHUNK_BYTES = 1024 * 1024


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
        name = _name(blob.sha256)
        if not default_storage.exists(name):
            spool.seek(0)
            default_storage.save(name, File(spool))
    return blob


def put_bytes(content: bytes) -> Blob:
    """Store bytes that the server itself made."""
    return put([content], max_bytes=len(content))


def exists(sha256: str) -> bool:
    """Whether bytes with this digest are stored."""
    return default_storage.exists(_name(sha256))


def open_blob(sha256: str) -> IO[bytes]:
    """The stored bytes as a file; FileNotFoundError where there are none."""
    return default_storage.open(_name(sha256), "rb")


def read(sha256: str) -> bytes:
    """The whole content; for what is known to be small."""
    with open_blob(sha256) as file:
        return file.read()
