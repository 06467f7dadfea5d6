"""The bytes of uploads in storage: whole parts, each durable before anybody hears of it."""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections.abc import Iterator
from typing import Protocol
from uuid import UUID

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from server.lib.errors import Invalid, Unavailable
from server.lib.storage import StorageAway, the_storage
from server.uploads.models import Upload

PART_BYTES = 4 * 1024 * 1024
_READ_BYTES = 64 * 1024
logger = logging.getLogger(__name__)


class Readable(Protocol):
    """A request's body."""

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes; none at the end. OSError where the line was cut."""


def read_part(body: Readable) -> tuple[bytes, bool]:
    """The next part, and whether the body is over: ended, or cut."""
    part = bytearray()
    while len(part) < PART_BYTES:
        try:
            chunk = body.read(min(_READ_BYTES, PART_BYTES - len(part)))
        except OSError as error:
            logger.info("an upload's connection was cut: %s", error)
            return bytes(part), True
        if not chunk:
            return bytes(part), True
        part += chunk
    return bytes(part), False


def store(upload_id: UUID, offset: int, content: bytes) -> str:
    """Store a part durably under a name of its own: two writers never meet in one file."""
    name = f"{_folder(upload_id)}/{offset:012d}-{secrets.token_hex(8)}"
    try:
        return default_storage.save(name, ContentFile(content))
    except StorageAway:
        raise
    except OSError as error:
        logger.warning("a part of upload %s could not be stored: %s", upload_id, error)
        raise Unavailable(
            "The server cannot store more at the moment. What was acknowledged is kept; go on "
            "later."
        ) from error


def forget(name: str) -> None:
    """Remove a part that belongs to nobody; a sweep takes what stays behind."""
    try:
        default_storage.delete(name)
    except OSError as error:
        logger.warning("part %s could not be removed: %s", name, error)


def forget_all(upload_id: UUID) -> None:
    """Remove all that was ever stored for an upload, also what no row names."""
    folder = _folder(upload_id)
    try:
        names = default_storage.listdir(folder)[1]
    except FileNotFoundError:
        return
    for name in names:
        default_storage.delete(f"{folder}/{name}")
    _remove_folder(folder)


class Content:
    """The whole file, read once; its digest is known at the end of ``chunks``."""

    def __init__(self, upload: Upload) -> None:
        self._upload, self._digest = upload, hashlib.sha256()

    @property
    def sha256(self) -> str:
        """Of what was read so far."""
        return self._digest.hexdigest()

    def chunks(self) -> Iterator[bytes]:
        """All bytes in order; raises Invalid at the end where the promised digest differs."""
        for part in self._upload.parts.order_by("offset"):
            with the_storage().open_from(part.name, 0) as file:
                content = file.read()
            if len(content) != part.length:
                raise Unavailable("A part of the upload cannot be read as it was stored.")
            self._digest.update(content)
            yield content
        if self._upload.sha256 and self._upload.sha256 != self.sha256:
            raise Invalid(
                f"The file that came has the SHA-256 {self.sha256}, and {self._upload.sha256} was "
                "announced. It changed before or while it was sent; upload it again."
            )


def _folder(upload_id: UUID) -> str:
    return f"uploads/{upload_id}"


def _remove_folder(folder: str) -> None:
    """Stores without folders have nothing to remove."""
    try:
        default_storage.delete(folder)
    except OSError as error:
        logger.warning("folder %s could not be removed: %s", folder, error)
