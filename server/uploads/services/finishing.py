"""From the last byte to a version or a dataset, or to the problem that stands in its way."""

from __future__ import annotations

import logging
import os
import socket
import uuid
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction

from server.accounts import audit
from server.accounts.actors import SYSTEM
from server.lib import clock
from server.lib.errors import Conflict, DomainError, Unavailable
from server.lib.problem import problem_body
from server.lib.states import StaleState, move
from server.uploads import dispatch, parts
from server.uploads.kinds import KINDS
from server.uploads.models import Upload
from server.uploads.states import MAX_ATTEMPTS, UPLOAD, UploadState

LEASE_S = 900.0
"""Longer than the inspection of the largest model, and than reading the largest dataset."""
AT_ONCE = 1
"""Of all uploads: the threads of the default queue also run the schedule."""
logger = logging.getLogger(__name__)


def inspect_upload(*, upload_id: UUID) -> None:
    """Hand a received upload to its service. Does nothing where somebody else has it."""
    upload = _lease(upload_id)
    if upload is None:
        dispatch.forget(upload_id)  # where another one is in hand, its turn comes
        return
    try:
        result = _hand_over(upload)
    except (Unavailable, OSError) as error:
        logger.warning("upload %s could not be inspected: %s", upload.pk, error)
        return_upload(upload, "The server could not inspect it at the moment.")
    except DomainError as error:
        _refuse(upload, error)
    else:
        _end(upload, UploadState.DONE, result=result)


def return_upload(upload: Upload, why: str) -> None:
    """Let it be tried again, or refuse it after ``MAX_ATTEMPTS``."""
    if upload.attempts < MAX_ATTEMPTS:
        freed: dict[str, Any] = {"lease_owner": "", "lease_expires_at": None}
        _move_leased(upload, UploadState.RECEIVED, why, **freed)
        return
    ended = f"Given up after {upload.attempts} attempts. {why} Upload it again."
    _refuse(upload, Unavailable(ended))


def _lease(upload_id: UUID) -> Upload | None:
    now = clock.now()
    busy = Upload.objects.filter(state=UploadState.INSPECTING, lease_expires_at__gt=now)
    upload = Upload.objects.filter(pk=upload_id, state=UploadState.RECEIVED).first()
    if upload is None or busy.count() >= AT_ONCE:
        return None
    try:
        move(
            UPLOAD,
            upload,
            UploadState.INSPECTING,
            actor=SYSTEM,
            attempts=upload.attempts + 1,
            lease_owner=f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}",
            lease_expires_at=now + timedelta(seconds=LEASE_S),
        )
    except StaleState:
        return None
    return upload


def _hand_over(upload: Upload) -> str:
    kind, content = KINDS[upload.kind], parts.Content(upload)
    try:
        return kind.hand_over(upload, content)
    except Conflict:
        found = kind.find(upload, _digest(upload)) if upload.attempts > 1 else None
        if found is None:
            raise
        return found  # the worker before this one had come so far, and was killed


def _digest(upload: Upload) -> str:
    content = parts.Content(upload)
    for _ in content.chunks():
        pass
    return content.sha256


def _refuse(upload: Upload, error: DomainError) -> None:
    problem = problem_body(error.status, error.code, error.detail, error.extra)
    _end(upload, UploadState.REFUSED, reason=error.detail, problem=problem)


def _end(upload: Upload, state: UploadState, *, reason: str = "", **changes: Any) -> None:
    with transaction.atomic():
        if not _move_leased(upload, state, reason, finished_at=clock.now(), **changes):
            return
        audit.record(
            actor=upload.actor,
            action="refuse" if state == UploadState.REFUSED else "finish",
            subject="upload",
            subject_id=str(upload.pk),
            reason=reason,
            after={"result": upload.result},
        )
        upload.parts.all().delete()
    parts.forget_all(upload.pk)


def _move_leased(upload: Upload, state: UploadState, reason: str, **changes: Any) -> bool:
    """Whether the lease was still this attempt's; a worker thought dead comes too late."""
    with transaction.atomic():
        held = Upload.objects.select_for_update().filter(
            pk=upload.pk, state=UploadState.INSPECTING, lease_owner=upload.lease_owner
        )
        if not held.exists():
            logger.warning("the lease of upload %s was lost", upload.pk)
            return False
        move(UPLOAD, upload, state, actor=SYSTEM, reason=reason, **changes)
    dispatch.forget(upload.pk)
    return True
