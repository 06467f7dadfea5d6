"""States of an import from another registry."""

from __future__ import annotations

from django.db import models

from server.lib.states import Machine


class ImportState(models.TextChoices):
    """``failed`` says why in its reason; asking again makes a new row."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


IMPORT = Machine(
    "import",
    {
        ImportState.QUEUED: frozenset({ImportState.RUNNING, ImportState.FAILED}),
        ImportState.RUNNING: frozenset(
            {ImportState.QUEUED, ImportState.SUCCEEDED, ImportState.FAILED}
        ),
        ImportState.SUCCEEDED: frozenset(),
        ImportState.FAILED: frozenset(),
    },
)

MAX_ATTEMPTS = 3
