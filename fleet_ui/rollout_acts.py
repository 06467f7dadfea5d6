"""What a person may do to a rollout: one table for the buttons and for the posts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from server.rollouts import services
from server.rollouts.states import RolloutState

S = RolloutState


@dataclass(frozen=True)
class Act:
    """A button: the service behind it, when it is offered, and what it does to devices."""

    slug: str
    label: str
    service: Callable[..., object]
    states: frozenset[str]
    effect: str
    done: str
    look: str = ""


ACTS = {
    act.slug: act
    for act in (
        Act(
            "start",
            "Start",
            services.start_rollout,
            frozenset({S.DRAFT}),
            "the first stage opens with the next tick.",
            "Started",
            "primary",
        ),
        Act(
            "pause",
            "Pause",
            services.pause_rollout,
            frozenset({S.RUNNING}),
            "no new offers; devices on their way finish.",
            "Paused",
        ),
        Act(
            "resume",
            "Resume",
            services.resume_rollout,
            frozenset({S.PAUSED}),
            "goes on where it was paused.",
            "Resumed",
            "primary",
        ),
        Act(
            "stop",
            "Stop",
            services.stop_rollout,
            frozenset({S.DRAFT, S.SCHEDULED, S.RUNNING, S.PAUSED}),
            "withdraws what is not activated; devices that run the release keep it.",
            "Stopped",
            "danger",
        ),
        Act(
            "roll-back",
            "Roll back",
            services.roll_back_rollout,
            frozenset({S.RUNNING, S.PAUSED, S.SUCCEEDED, S.STOPPED}),
            "brings every device that took the release back to its previous one, in stages.",
            "Rolling back",
            "danger",
        ),
    )
}
