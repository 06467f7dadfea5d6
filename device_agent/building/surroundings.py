"""What speaks against a turn now: anything on this box that matters more."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass

from device_agent.building.abilities import Pace
from device_agent.config import Config
from device_agent.journal import Journal
from device_agent.windows import is_open
from inference_core.contract.telemetry import Health


@dataclass(frozen=True)
class Surroundings:
    """Looks only; from any thread. ``health`` is the newest record that the keeper has made."""

    config: Config
    journal: Journal
    pace: Pace
    health: Callable[[], Health | None]

    def still_wants(self, turn: int) -> bool:
        """Whether the newest goal that the server gave still has this turn."""
        goal = self.journal.goal
        offers = (goal.build, goal.check) if goal is not None else ()
        return any(offer is not None and offer.turn == turn for offer in offers)

    def obstacle(self) -> str | None:
        """Why no turn may go on now, or None. One rule for all: it ends and is given back."""
        if self.journal.hand is not None:
            return "a deployment is in hand"
        goal = self.journal.goal
        if goal is not None and not is_open(goal.window, self.journal.time_floor):
            return "the update window of the line is closed"
        return self._strain()

    def _strain(self) -> str | None:
        if late := self.pace.problem:
            return late
        health = self.health()
        if health is not None and health.throttled:
            return "the board slows itself down"
        free = shutil.disk_usage(self.config.data_dir).free
        if free < self.config.disk_reserve_bytes:
            return f"{free} bytes of disk are free, {self.config.disk_reserve_bytes} are reserved"
        return None
