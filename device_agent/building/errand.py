"""Takes an offer to build or to judge, where this box may, can and has nothing better to do."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Union

from device_agent.admission import Device, judge_leased
from device_agent.building.abilities import what_is_missing
from device_agent.building.desk import BegunTurn, Desk
from device_agent.building.surroundings import Surroundings
from device_agent.config import Config
from device_agent.errands import SELDOM_S
from device_agent.errors import AgentError, Rejected, Unavailable
from device_agent.inference.child import Cell
from device_agent.log import logger
from inference_core.contract.device import BuildOffer, CheckOffer, Goal
from inference_core.contract.release import artifact_path

if TYPE_CHECKING:
    from device_agent.building.calls import TurnCalls
    from device_agent.building.works import Work
    from device_agent.building.workshop import Workshop
    from device_agent.status import BuildStatus
    from device_agent.trust import SignedTargets
    from inference_core.contract.device_check import CheckLease

Offer = Union[BuildOffer, CheckOffer]
_SOON_S = 5.0


class Building:
    """An errand. The work itself has a thread of its own, so that the loop goes on turning.

    What a start finds begun is given back and never begun again: a build that brings the box
    down does so once on this device.
    """

    name = "a build on this device"

    def __init__(
        self,
        config: Config,
        *,
        surroundings: Surroundings,
        new_calls: Callable[[], TurnCalls],
        lock_in: Callable[[int, int], Cell | None],
        open_targets: Callable[[], SignedTargets],
        profile: Callable[[], str],
    ) -> None:
        self._config, self._surroundings = config, surroundings
        self._new_calls, self._lock_in = new_calls, lock_in
        self._open_targets, self._profile = open_targets, profile
        self._desk = Desk(config.data_dir / "build")
        self._desk.sweep()
        self._workshop: Workshop | None = None
        self._own_calls: TurnCalls | None = None
        self._last_turn = 0

    @property
    def standing(self) -> BuildStatus | None:
        """How far the turn is that runs now, or None; from any thread."""
        workshop = self._workshop
        return workshop.standing if workshop and workshop.is_alive() else None

    def turn(self, goal: Goal) -> float:
        """Begin what is offered, decline what cannot be, give back what was interrupted."""
        if self._workshop is not None and self._workshop.is_alive():
            return _SOON_S  # it looks at the goal by itself
        self._workshop = None
        self._end_begun()
        offer = goal.build or goal.check
        if offer is None or offer.turn <= self._last_turn:
            return SELDOM_S
        if why := self._why_never(offer):
            self._decline(offer, why)
            return SELDOM_S
        if self._surroundings.obstacle() is None:
            self._begin(offer, goal.rate_cap_bytes_s)
        return _SOON_S

    def close(self) -> None:
        """End what runs with the agent."""
        if self._workshop is not None:
            self._workshop.close()

    def _why_never(self, offer: Offer) -> str | None:
        from device_agent.building.materials import room_for

        if not self._config.may_build:
            return "may_build is off in the settings of this device"
        if missing := what_is_missing(offer.runtime):
            return missing
        room = room_for(offer.download_bytes, _begun(offer).room)
        needed = room + self._config.disk_reserve_bytes
        free = shutil.disk_usage(self._config.data_dir).free
        if needed > free:
            return f"it may need {needed} bytes of disk with the reserve, and {free} are free"
        return None

    @property
    def _calls(self) -> TurnCalls:
        if self._own_calls is None:
            self._own_calls = self._new_calls()
        return self._own_calls

    def _decline(self, offer: Offer, why: str) -> None:
        place = _begun(offer).place
        logger.warning("%s is declined: %s", place, why)
        with suppress(Rejected):  # over already
            self._calls.decline(place, why)
        self._last_turn = offer.turn

    def _begin(self, offer: Offer, rate_cap_bytes_s: int | None) -> None:
        from device_agent.building.workshop import Workshop

        begun = _begun(offer)
        self._desk.begin(begun)
        try:
            work = self._lease(offer)
        except Unavailable:  # asked again, it gives the same
            self._desk.end()
            raise
        except Rejected as error:
            logger.info("%s was not to be had: %s", begun.place, error)
            self._desk.end()
            self._last_turn = offer.turn
            return
        self._last_turn = offer.turn
        if work is None:
            return
        logger.info("%s begins here", begun.place)
        self._workshop = Workshop(
            self._config,
            self._new_calls(),
            work,
            self._desk,
            surroundings=self._surroundings,
            lock_in=self._lock_in,
            rate_cap_bytes_s=rate_cap_bytes_s,
        )
        self._workshop.start()

    def _lease(self, offer: Offer) -> Work | None:
        """None where it was leased, and is given back because its artifacts are not signed."""
        from device_agent.building.works import BuildWork, CheckWork

        if isinstance(offer, BuildOffer):
            return BuildWork(self._calls.lease_build(offer.turn))
        targets = self._open_targets()  # before the lease: an attempt is not for waiting
        lease = self._calls.lease_check(offer.turn)
        try:
            self._admit(lease, targets)
        except AgentError as error:
            logger.warning("check %d is not judged here: %s", lease.check, error)
            reason = str(error)[:2000]
            self._desk.note(_begun(offer).model_copy(update={"reason": reason}))
            self._end_begun()
            return None
        return CheckWork(lease)

    def _admit(self, lease: CheckLease, targets: SignedTargets) -> None:
        """No artifact is loaded that nobody has signed for this profile, whoever asks for it."""
        device = Device(self._profile(), 0)
        if lease.profile.name != device.profile:
            raise Rejected(f"the check is for {lease.profile.name}, not for {device.profile}")
        for model in lease.models.values():
            signed = targets.find(artifact_path(device.profile, model.artifact_sha256))
            judge_leased(model, lease.profile.runtime, signed, device)

    def _end_begun(self) -> None:
        """Of an agent that was killed, or a server that was away when it was to be told."""
        begun = self._desk.begun()
        if begun is None:
            return
        self._last_turn = max(self._last_turn, begun.turn)
        try:
            self._calls.give_back(begun.place, begun.why)
        except Rejected as error:
            logger.info("%s was over already: %s", begun.place, error)
        self._desk.end()


def _begun(offer: Offer) -> BegunTurn:
    return BegunTurn(turn=offer.turn, room="builds" if isinstance(offer, BuildOffer) else "checks")
