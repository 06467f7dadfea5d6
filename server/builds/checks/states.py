"""States of a golden pipeline check."""

from __future__ import annotations

from django.db import models

from server.lib.states import Machine


class CheckState(models.TextChoices):
    """``refused`` means judged, and a verdict differs; ``failed``, that it was not found out."""

    QUEUED = "queued"
    LEASED = "leased"
    SUCCEEDED = "succeeded"
    REFUSED = "refused"
    FAILED = "failed"


CHECK = Machine(
    "pipeline_check",
    {
        CheckState.QUEUED: frozenset({CheckState.LEASED}),
        CheckState.LEASED: frozenset(
            {CheckState.QUEUED, CheckState.SUCCEEDED, CheckState.REFUSED, CheckState.FAILED}
        ),
        CheckState.SUCCEEDED: frozenset(),
        CheckState.REFUSED: frozenset(),
        CheckState.FAILED: frozenset(),
    },
)

MAX_ATTEMPTS = 3
