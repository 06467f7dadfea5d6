"""Bytes that come: stored, then acknowledged, in one order for everybody."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.db import transaction

from server.lib import clock
from server.lib.errors import Conflict, Gone, TooLarge, TooMany
from server.lib.states import move
from server.uploads import parts
from server.uploads.checksums import Checksum
from server.uploads.dispatch import send_inspection
from server.uploads.models import Upload, UploadPart
from server.uploads.states import UPLOAD, UploadState

MAX_PARTS = 20_000
"""Pieces this small, on a file this large, are no bad line but a mistake."""


class WrongOffset(Conflict):
    """Bytes for another place than the next one; ``extra`` says where to go on."""

    code = "wrong_offset"


def append_bytes(
    *,
    upload: Upload,
    offset: int,
    body: parts.Readable,
    announced: int | None = None,
    checksum: Checksum | None = None,
) -> int:
    """Store what ``body`` brings from ``offset`` on; returns the new offset.

    Without a checksum every part counts as soon as it is stored, also where the line is cut.
    With one, all of the body counts or nothing. Raises WrongOffset where the bytes are for another
    place or another writer was faster, TooLarge past the length, ChecksumDiffers.
    """
    _check_state(upload)
    if offset != upload.received:
        raise _wrong_offset(upload)
    _check_end(upload, offset + (announced or 0))
    _check_parts(upload)
    writer = _Writer(upload, offset, checksum)
    try:
        return writer.take(body)
    except BaseException:
        writer.forget_pending()
        raise


@dataclass
class _Writer:
    """Reads one body. What is pending is stored, and counts for nobody yet."""

    upload: Upload
    offset: int
    checksum: Checksum | None
    pending: list[UploadPart] = field(default_factory=list)

    @property
    def end(self) -> int:
        return self.offset + sum(part.length for part in self.pending)

    def take(self, body: parts.Readable) -> int:
        is_over = False
        while not is_over:
            content, is_over = parts.read_part(body)
            if content:
                self._store(content)
            if self.checksum is None:
                self._commit()
        if self.checksum is not None:
            self.checksum.require()
            self._commit()
        return self.offset

    def _store(self, content: bytes) -> None:
        _check_end(self.upload, self.end + len(content))
        if self.checksum is not None:
            self.checksum.update(content)
        name = parts.store(self.upload.pk, self.end, content)
        self.pending.append(
            UploadPart(upload=self.upload, offset=self.end, length=len(content), name=name)
        )

    def _commit(self) -> None:
        if not self.pending:
            return
        end = self.end
        _advance(self.upload, self.offset, end, self.pending)
        self.offset, self.pending = end, []

    def forget_pending(self) -> None:
        for part in self.pending:
            parts.forget(part.name)


def _advance(upload: Upload, old: int, new: int, stored: list[UploadPart]) -> None:
    """Count the parts, unless somebody else was faster: one UPDATE decides."""
    expires_at = clock.now() + timedelta(hours=settings.ENV.upload_patience_h)
    with transaction.atomic():
        changed = Upload.objects.filter(
            pk=upload.pk, state=UploadState.RECEIVING, received=old
        ).update(received=new, expires_at=expires_at)
        if not changed:
            upload.refresh_from_db()
            _check_state(upload)
            raise _wrong_offset(upload)
        UploadPart.objects.bulk_create(stored)
        upload.received, upload.expires_at = new, expires_at
        if new == upload.length:
            move(UPLOAD, upload, UploadState.RECEIVED, actor=upload.actor)
            transaction.on_commit(partial(send_inspection, upload.pk))


def _check_state(upload: Upload) -> None:
    if upload.state in (UploadState.WITHDRAWN, UploadState.EXPIRED):
        raise Gone(f"This upload is {upload.state}, and its bytes are forgotten; begin again.")
    if upload.state != UploadState.RECEIVING:
        raise Conflict("All bytes of this upload have come; look at its state.", **_where(upload))


def _check_end(upload: Upload, end: int) -> None:
    if end > upload.length:
        raise TooLarge(
            f"The upload was announced with {upload.length} bytes, and these would be {end}.",
            max_bytes=upload.length,
        )


def _check_parts(upload: Upload) -> None:
    if upload.parts.count() >= MAX_PARTS:
        raise TooMany(
            f"The upload came in {MAX_PARTS} pieces and is not whole. Withdraw it and send "
            "larger pieces."
        )


def _wrong_offset(upload: Upload) -> WrongOffset:
    return WrongOffset(
        f"This upload goes on at byte {upload.received}; another request may have sent what is "
        "before it.",
        **_where(upload),
    )


def _where(upload: Upload) -> dict[str, Any]:
    return {"offset": upload.received, "length": upload.length}
