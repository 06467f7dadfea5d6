"""What time does to uploads: lost messages, dead workers, and files that nobody goes on with."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction

from server.accounts.actors import SYSTEM
from server.lib import clock
from server.lib.states import StaleState, move
from server.uploads import parts
from server.uploads.dispatch import send_again
from server.uploads.models import Upload
from server.uploads.services.finishing import LEASES, return_upload
from server.uploads.states import UPLOAD, UploadState

KEEP_D = 30
"""How long an ended upload can still be looked up."""
_LIMIT = 100


def sweep_uploads() -> None:
    """Repeat what was lost, give up what was abandoned. May run at any time, and twice."""
    LEASES.expire(return_upload)
    _expire()
    _forget_old()
    _send_next()


def _expire() -> None:
    late = Upload.objects.filter(state=UploadState.RECEIVING, expires_at__lt=clock.now())
    for upload in late[:_LIMIT]:
        if _end(upload):
            parts.forget_all(upload.pk)


@transaction.atomic
def _end(upload: Upload) -> bool:
    still = Upload.objects.select_for_update().filter(pk=upload.pk, expires_at__lt=clock.now())
    if not still.exists():
        return False  # bytes came after all
    try:
        move(UPLOAD, upload, UploadState.EXPIRED, actor=SYSTEM, finished_at=clock.now())
    except StaleState:
        return False
    upload.parts.all().delete()
    return True


def _forget_old() -> None:
    """The folder once more: a request that outlived its upload may have left a part there."""
    before = clock.now() - timedelta(days=KEEP_D)
    for upload in Upload.objects.filter(state__in=UPLOAD.terminal, finished_at__lt=before)[:_LIMIT]:
        parts.forget_all(upload.pk)
        upload.delete()


def _send_next() -> None:
    waiting = Upload.objects.filter(state=UploadState.RECEIVED).order_by("created_at")
    for upload in waiting[:1]:
        send_again(upload.pk)
