"""States of a golden pipeline check."""

from __future__ import annotations

from django.db import models

from server.lib.states import Machine


class CheckState(models.TextChoices):
    """``refused`` means judged, and a verdict differs; ``failed``, that it was not found out.

    ``waived``: it could not be found out, and a person answers for the release instead.
    """

    QUEUED = "queued"
    LEASED = "leased"
    SUCCEEDED = "succeeded"
    REFUSED = "refused"
    FAILED = "failed"
    WAIVED = "waived"


CHECK = Machine(
    "pipeline_check",
    {
        CheckState.QUEUED: frozenset({CheckState.LEASED, CheckState.FAILED, CheckState.WAIVED}),
        CheckState.LEASED: frozenset(
            {CheckState.QUEUED, CheckState.SUCCEEDED, CheckState.REFUSED, CheckState.FAILED}
        ),
        CheckState.SUCCEEDED: frozenset(),
        CheckState.REFUSED: frozenset(),
        CheckState.FAILED: frozenset(),
        CheckState.WAIVED: frozenset(),
    },
)

SIGNABLE = frozenset({CheckState.SUCCEEDED, CheckState.WAIVED})
"""After these a release may be signed."""

MAX_ATTEMPTS = 3
