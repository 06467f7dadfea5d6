"""States of a build."""

from __future__ import annotations

from django.db import models

from server.lib.states import Machine


class BuildState(models.TextChoices):
    """``refused`` means built, but the parity gate said no."""

    QUEUED = "queued"
    LEASED = "leased"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REFUSED = "refused"


BUILD = Machine(
    "build",
    {
        BuildState.QUEUED: frozenset({BuildState.LEASED, BuildState.FAILED}),
        BuildState.LEASED: frozenset(
            {BuildState.QUEUED, BuildState.SUCCEEDED, BuildState.FAILED, BuildState.REFUSED}
        ),
        BuildState.SUCCEEDED: frozenset(),
        BuildState.FAILED: frozenset(),
        BuildState.REFUSED: frozenset(),
    },
)

MAX_ATTEMPTS = 3


class TurnState(models.TextChoices):
    """Of one device's chance at one build."""

    OFFERED = "offered"
    LEASED = "leased"
    ENDED = "ended"


TURN = Machine(
    "build_turn",
    {
        TurnState.OFFERED: frozenset({TurnState.LEASED, TurnState.ENDED}),
        TurnState.LEASED: frozenset({TurnState.ENDED}),
        TurnState.ENDED: frozenset(),
    },
)


class TurnEnd(models.TextChoices):
    """How a turn ended."""

    FINISHED = "finished"
    DECLINED = "declined"
    RETURNED = "returned"
    LOST = "lost"
    WITHDRAWN = "withdrawn"
