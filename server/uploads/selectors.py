"""Reads of uploads. An upload is its owner's alone."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet

from server.accounts.models import User
from server.lib.errors import NotFound
from server.uploads.models import Upload
from server.uploads.states import UPLOAD


def uploads_of(user: User) -> QuerySet[Upload]:
    """All uploads of ``user``, the newest first."""
    return Upload.objects.filter(owner=user)


def open_uploads_of(user: User) -> QuerySet[Upload]:
    """Those that hold bytes: on their way, or waiting to be inspected."""
    return uploads_of(user).filter(state__in=UPLOAD.open)


def upload_of(user: User, upload_id: UUID) -> Upload:
    """One upload; NotFound where there is none, or it is somebody else's."""
    upload = uploads_of(user).filter(pk=upload_id).first()
    if upload is None:
        raise NotFound(f"You have no upload {upload_id}.")
    return upload
