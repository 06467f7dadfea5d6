"""States of a review of a label."""

from __future__ import annotations

from django.db import models

from server.lib.states import Machine


class ReviewState(models.TextChoices):
    """What a person said of the label; waiting until one did."""

    WAITING = "waiting"
    CONFIRMED = "confirmed"
    MISTAKEN = "mistaken"


REVIEW = Machine(
    "review",
    {
        ReviewState.WAITING: frozenset({ReviewState.CONFIRMED, ReviewState.MISTAKEN}),
        ReviewState.CONFIRMED: frozenset(),
        ReviewState.MISTAKEN: frozenset(),
    },
)
