"""Takes an offer to build, where this box may, can and has nothing better to do."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from device_agent.building.abilities import what_is_missing
from device_agent.building.desk import Desk
from device_agent.building.surroundings import Surroundings
from device_agent.config import Config
from device_agent.errands import SELDOM_S
from device_agent.errors import Rejected, Unavailable
from device_agent.inference.child import Cell
from device_agent.log import logger
from inference_core.contract.device import BuildOffer, Goal

if TYPE_CHECKING:
    from device_agent.building.calls import BuildCalls
    from device_agent.building.workshop import Workshop
    from device_agent.status import BuildStatus

_SOON_S = 5.0


class Building:
    """An errand. The build itself has a thread of its own, so that the loop goes on turning.

    What a start finds begun is given back and never begun again: a build that brings the box
    down does so once on this device.
    """

    name = "a build on this device"

    def __init__(
        self,
        config: Config,
        *,
        surroundings: Surroundings,
        new_calls: Callable[[], BuildCalls],
        lock_in: Callable[[int, int], Cell | None],
    ) -> None:
        self._config, self._surroundings = config, surroundings
        self._new_calls, self._lock_in = new_calls, lock_in
        self._desk = Desk(config.data_dir / "build")
        self._desk.sweep()
        self._workshop: Workshop | None = None
        self._own_calls: BuildCalls | None = None
        self._last_turn = 0

    @property
    def standing(self) -> BuildStatus | None:
        """How far the build is that runs now, or None; from any thread."""
        workshop = self._workshop
        return workshop.standing if workshop and workshop.is_alive() else None

    def turn(self, goal: Goal) -> float:
        """Begin what is offered, decline what cannot be, give back what was interrupted."""
        if self._workshop is not None and self._workshop.is_alive():
            return _SOON_S  # it looks at the goal by itself
        self._workshop = None
        self._end_begun()
        offer = goal.build
        if offer is None or offer.turn <= self._last_turn:
            return SELDOM_S
        if why := self._why_never(offer):
            self._decline(offer, why)
            return SELDOM_S
        if self._surroundings.obstacle() is None:
            self._begin(offer, goal.rate_cap_bytes_s)
        return _SOON_S

    def close(self) -> None:
        """End the build with the agent."""
        if self._workshop is not None:
            self._workshop.close()

    def _why_never(self, offer: BuildOffer) -> str | None:
        from device_agent.building.materials import room_for

        if not self._config.may_build:
            return "may_build is off in the settings of this device"
        if missing := what_is_missing(offer.runtime):
            return missing
        needed = room_for(offer.download_bytes) + self._config.disk_reserve_bytes
        free = shutil.disk_usage(self._config.data_dir).free
        if needed > free:
            return f"it may need {needed} bytes of disk with the reserve, and {free} are free"
        return None

    @property
    def _calls(self) -> BuildCalls:
        if self._own_calls is None:
            self._own_calls = self._new_calls()
        return self._own_calls

    def _decline(self, offer: BuildOffer, why: str) -> None:
        logger.warning("build %d is declined: %s", offer.build, why)
        with suppress(Rejected):  # over already
            self._calls.decline(offer.turn, why)
        self._last_turn = offer.turn

    def _begin(self, offer: BuildOffer, rate_cap_bytes_s: int | None) -> None:
        from device_agent.building.workshop import Workshop

        self._desk.begin(offer.turn)
        try:
            lease = self._calls.lease(offer.turn)
        except Unavailable:  # asked again, it gives the same
            self._desk.end()
            raise
        except Rejected as error:
            logger.info("build %d was not to be had: %s", offer.build, error)
            self._desk.end()
            self._last_turn = offer.turn
            return
        self._last_turn = offer.turn
        logger.info("build %d begins here, turn %d", offer.build, offer.turn)
        self._workshop = Workshop(
            self._config,
            self._new_calls(),
            lease,
            self._desk,
            surroundings=self._surroundings,
            lock_in=self._lock_in,
            rate_cap_bytes_s=rate_cap_bytes_s,
        )
        self._workshop.start()

    def _end_begun(self) -> None:
        """Of an agent that was killed, or a server that was away when it was to be told."""
        begun = self._desk.begun()
        if begun is None:
            return
        self._last_turn = max(self._last_turn, begun.turn)
        try:
            self._calls.give_back(begun.turn, begun.reason)
        except Rejected as error:
            logger.info("turn %d at a build was over already: %s", begun.turn, error)
        self._desk.end()
