"""States of an upload."""

from __future__ import annotations

from django.db import models

from server.lib.states import Machine


class UploadState(models.TextChoices):
    """``refused`` means that all bytes came, and what they hold may not be used."""

    RECEIVING = "receiving"
    RECEIVED = "received"
    INSPECTING = "inspecting"
    DONE = "done"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


UPLOAD = Machine(
    "upload",
    {
        UploadState.RECEIVING: frozenset(
            {UploadState.RECEIVED, UploadState.WITHDRAWN, UploadState.EXPIRED}
        ),
        UploadState.RECEIVED: frozenset({UploadState.INSPECTING}),
        UploadState.INSPECTING: frozenset(
            {UploadState.RECEIVED, UploadState.DONE, UploadState.REFUSED}
        ),
        UploadState.DONE: frozenset(),
        UploadState.REFUSED: frozenset(),
        UploadState.WITHDRAWN: frozenset(),
        UploadState.EXPIRED: frozenset(),
    },
)

MAX_ATTEMPTS = 3
