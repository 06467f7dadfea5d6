"""States of a comparison."""

from __future__ import annotations

from django.db import models

from server.lib.states import Machine


class ComparisonState(models.TextChoices):
    """As of a build; there is no gate that could refuse."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


COMPARISON = Machine(
    "comparison",
    {
        ComparisonState.QUEUED: frozenset({ComparisonState.RUNNING}),
        ComparisonState.RUNNING: frozenset(
            {ComparisonState.QUEUED, ComparisonState.SUCCEEDED, ComparisonState.FAILED}
        ),
        ComparisonState.SUCCEEDED: frozenset(),
        ComparisonState.FAILED: frozenset(),
    },
)

MAX_ATTEMPTS = 3
