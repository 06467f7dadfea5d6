"""How an upload begins, and how its owner ends it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Sum

from server.accounts import audit
from server.accounts.models import User
from server.lib import clock
from server.lib.errors import Conflict, Invalid, TooLarge, TooMany
from server.lib.states import move
from server.uploads import parts
from server.uploads.kinds import KINDS
from server.uploads.models import Upload
from server.uploads.selectors import open_uploads_of
from server.uploads.states import UPLOAD, UploadState


def open_upload(
    *,
    owner: User,
    kind: str,
    form: Mapping[str, Any],
    length: int,
    file_name: str = "",
    fingerprint: str = "",
    sha256: str = "",
    actor: str,
) -> Upload:
    """Begin an upload of ``length`` bytes.

    Raises TooLarge, Invalid or Conflict for what could not be used once it is here, and TooMany
    where ``owner`` has as much on its way as is allowed.
    """
    _check_length(length, KINDS[kind].max_bytes())
    KINDS[kind].refuse_early(form)
    with transaction.atomic():
        # The row of the owner is the lock: two at once must not both be the last one allowed.
        User.objects.select_for_update().get(pk=owner.pk)
        _check_room(owner, length)
        upload = Upload.objects.create(
            owner=owner,
            actor=actor,
            kind=kind,
            form=dict(form),
            file_name=file_name,
            fingerprint=fingerprint,
            sha256=sha256,
            length=length,
            created_at=clock.now(),
            expires_at=clock.now() + timedelta(hours=settings.ENV.upload_patience_h),
        )
        audit.record(
            actor=actor,
            action="open",
            subject="upload",
            subject_id=str(upload.pk),
            after={"kind": kind, "file_name": file_name, "length": length},
        )
    return upload


def withdraw_upload(*, upload: Upload, actor: str) -> None:
    """End an upload that is not whole and forget its bytes; Conflict where all of them came."""
    if upload.state != UploadState.RECEIVING:
        raise Conflict(f"This upload is {upload.state}; only one on its way can be withdrawn.")
    with transaction.atomic():
        move(UPLOAD, upload, UploadState.WITHDRAWN, actor=actor, finished_at=clock.now())
        audit.record(actor=actor, action="withdraw", subject="upload", subject_id=str(upload.pk))
        upload.parts.all().delete()
    parts.forget_all(upload.pk)


def _check_length(length: int, max_bytes: int) -> None:
    if length < 1:
        raise Invalid("The file is empty.")
    if length > max_bytes:
        raise TooLarge(
            f"The file has {length} bytes; at most {max_bytes} are taken.", max_bytes=max_bytes
        )


def _check_room(owner: User, length: int) -> None:
    held = open_uploads_of(owner)
    most, max_bytes = settings.ENV.max_open_uploads, settings.ENV.max_open_upload_bytes
    if held.count() >= most:
        raise TooMany(
            f"You have {most} uploads on their way, which is as many as are allowed. Finish or "
            "withdraw one.",
            max_open_uploads=most,
        )
    total = (held.aggregate(total=Sum("length"))["total"] or 0) + length
    if total > max_bytes:
        raise TooMany(
            f"Your uploads on their way would be {total} bytes together; {max_bytes} are allowed. "
            "Finish or withdraw one.",
            max_open_upload_bytes=max_bytes,
        )
