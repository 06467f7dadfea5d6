"""Tells the server what this box is: at every start, and when something of it has changed."""

from __future__ import annotations

from collections.abc import Callable

from device_agent.errands import SELDOM_S
from device_agent.errors import Rejected, Unavailable
from device_agent.gateway import Gateway
from device_agent.hardware.facts import read_facts
from device_agent.log import logger
from device_agent.notices import Notice
from inference_core.contract.device import DeviceFacts, Goal


class FactsErrand:
    """An errand: an upgrade of JetPack may leave a profile that no longer fits."""

    name = "the facts of this box"

    def __init__(
        self, gateway: Gateway, notice: Notice, read: Callable[[], DeviceFacts] = read_facts
    ) -> None:
        self._gateway, self._notice, self._read = gateway, notice, read
        self._told: DeviceFacts | None = None
        self._misfit = ""

    def turn(self, goal: Goal) -> float:  # noqa: ARG002 - the same whatever the goal
        """Send the facts, unless the server has heard just these since the start."""
        facts = self._read()
        if facts != self._told:
            self._send(facts)
            self._told = facts
        return SELDOM_S

    def _send(self, facts: DeviceFacts) -> None:
        try:
            misfit = self._gateway.send_facts(facts).misfit
        except Rejected as error:
            if error.is_about_this_device:
                raise Unavailable(str(error)) from error
            logger.warning("the server does not take the facts of this box: %s", error)
            return
        if misfit and misfit != self._misfit:
            self._notice("profile-misfit", f"The hardware profile no longer fits: {misfit}.", None)
        self._misfit = misfit
