"""From the last byte to a version or a dataset, or to the problem that stands in its way."""

from __future__ import annotations

import logging
import os
import socket
import uuid
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction

from server.accounts import audit
from server.accounts.actors import SYSTEM
from server.lib import clock
from server.lib.errors import Conflict, DomainError, Unavailable
from server.lib.leases import Leases
from server.lib.problem import problem_body
from server.lib.states import move
from server.uploads import dispatch, parts
from server.uploads.kinds import KINDS
from server.uploads.models import Upload
from server.uploads.states import MAX_ATTEMPTS, UPLOAD, UploadState

LEASE_S = 900.0
"""Longer than the inspection of the largest model, and than reading the largest dataset."""
LEASES = Leases(
    UPLOAD, Upload, waiting=UploadState.RECEIVED, held=UploadState.INSPECTING, lease_s=LEASE_S
)
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
        _finish(upload)
    except Conflict as error:
        logger.warning("upload %s: %s", upload.pk, error.detail)


def _finish(upload: Upload) -> None:
    """Raises Conflict where the lease was lost meanwhile."""
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
    """Let it be tried again, or refuse it after ``MAX_ATTEMPTS``. Conflict: it is another's."""
    if upload.attempts < MAX_ATTEMPTS:
        with transaction.atomic():
            LEASES.lock(upload, upload.lease_owner)
            LEASES.put_back(upload, why, actor=SYSTEM)
            transaction.on_commit(partial(dispatch.forget, upload.pk))
        return
    ended = f"Given up after {upload.attempts} attempts. {why} Upload it again."
    _refuse(upload, Unavailable(ended))


def _lease(upload_id: UUID) -> Upload | None:
    upload = Upload.objects.filter(pk=upload_id, state=UploadState.RECEIVED).first()
    if upload is None or LEASES.count_alive() >= AT_ONCE:
        return None
    owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
    return upload if LEASES.take(upload, owner) else None


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
        LEASES.lock(upload, upload.lease_owner)
        move(
            UPLOAD,
            upload,
            state,
            actor=SYSTEM,
            reason=reason,
            finished_at=clock.now(),
            **changes,
        )
        audit.record(
            actor=upload.actor,
            action="refuse" if state == UploadState.REFUSED else "finish",
            subject="upload",
            subject_id=str(upload.pk),
            reason=reason,
            after={"result": upload.result},
        )
        upload.parts.all().delete()
        transaction.on_commit(partial(_forget, upload.pk))


def _forget(upload_id: UUID) -> None:
    dispatch.forget(upload_id)
    parts.forget_all(upload_id)
