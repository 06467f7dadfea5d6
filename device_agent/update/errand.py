"""Brings the agent's own code: fetched, judged and tried beside the old before it may start."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from device_agent.admission import judge_agent
from device_agent.config import Config
from device_agent.downloads import Downloader
from device_agent.errands import SELDOM_S
from device_agent.errors import Rejected, Unavailable
from device_agent.journal import Journal
from device_agent.launcher import Launched
from device_agent.log import logger
from device_agent.notices import Notice
from device_agent.update.agent_code import AgentCode
from device_agent.windows import is_open
from inference_core import __version__
from inference_core.contract.device import AgentRef, Goal

if TYPE_CHECKING:
    from device_agent.trust import SignedTargets

_SOON_S = 30.0
_SELF_CHECK_LIMIT_S = 180
"""Half the time after which a loop that waits for it would count as hanging."""


class AgentUpdate:
    """An errand. ``restart`` ends this agent so that the launcher starts the new code.

    Requirements of the new code are not brought: they come with provisioning, and a wheel that
    needs others is not taken. An update waits for the line's window: inference starts anew too.
    """

    name = "the agent's own update"

    def __init__(
        self,
        code: AgentCode,
        config: Config,
        *,
        journal: Journal,
        downloader: Downloader,
        open_targets: Callable[[], SignedTargets],
        runs_inference: Callable[[], bool],
        notice: Notice,
        restart: Callable[[], None],
    ) -> None:
        self._code, self._config, self._journal = code, config, journal
        self._downloader, self._open_targets = downloader, open_targets
        self._runs_inference, self._notice, self._restart = runs_inference, notice, restart
        self._told: tuple[str, str] | None = None

    def turn(self, goal: Goal) -> float:
        """Take the wanted code where it is another one and nothing speaks against it."""
        wanted = goal.agent
        if wanted is None or self._is_here(wanted) or self._was_bad(wanted):
            self._code.prune()
            return SELDOM_S
        if self._journal.hand is not None or not is_open(goal.window, self._journal.time_floor):
            return _SOON_S
        if self._code.launched is None:
            raise Unavailable(
                "this agent was not started by its launcher, so an update could not be "
                "reverted: start `linewarden-agent run`, with data_dir as a plain line of the "
                "settings",
                delay_s=SELDOM_S,
            )
        try:
            self._take(wanted, self._code.launched, goal.rate_cap_bytes_s)
        except Rejected as error:
            self._tell(wanted, str(error))
            return SELDOM_S
        return SELDOM_S

    def _is_here(self, wanted: AgentRef) -> bool:
        if self._code.digest is None:
            return wanted.version == __version__
        return self._code.digest == wanted.target.sha256

    def _was_bad(self, wanted: AgentRef) -> bool:
        bad = self._code.starts.bad
        if bad and bad != wanted.target.sha256:
            self._code.forgive()
        return bad == wanted.target.sha256

    def _take(self, wanted: AgentRef, launched: Launched, rate_cap_bytes_s: int | None) -> None:
        from device_agent.update.wheel import MAX_WHEEL_BYTES

        digest = wanted.target.sha256
        if wanted.target.length > MAX_WHEEL_BYTES:
            raise Rejected(f"an agent of {wanted.target.length} bytes is not taken")
        signed = self._open_targets().find(wanted.target.path)
        custom = judge_agent(wanted, signed, self._journal.agent_floor)
        wheel = self._code.wheel_path(digest)
        self._downloader.fetch(wanted.target, wheel, rate_cap_bytes_s)
        try:
            self._put_in_place(wanted, launched)
        except Rejected as error:
            self._code.refuse(digest, str(error))
            raise
        logger.info("agent %s is in place and starts now", wanted.version)
        self._code.try_next(
            digest,
            counter=custom.counter,
            limit_s=round(self._config.agent_limit_s),
            needs_inference=self._runs_inference(),
        )
        self._code.prune()
        self._restart()

    def _put_in_place(self, wanted: AgentRef, launched: Launched) -> None:
        from device_agent.update.wheel import judge_wheel, unpack

        digest = wanted.target.sha256
        judge_wheel(self._code.wheel_path(digest), wanted.version)
        unpack(self._code.wheel_path(digest), self._code.path(digest))
        self._check_itself(wanted, launched)

    def _check_itself(self, wanted: AgentRef, launched: Launched) -> None:
        """The new code, in a process of its own, imports all of itself and reads the settings."""
        code = self._code.path(wanted.target.sha256)
        command = [sys.executable, str(code), *launched.settings, "self-check"]
        try:
            done = subprocess.run(
                command,
                env=launched.environment_for(code),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_SELF_CHECK_LIMIT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise Rejected(
                f"agent {wanted.version} did not check itself within {_SELF_CHECK_LIMIT_S} s"
            ) from error
        said = (done.stdout + done.stderr).strip().splitlines() or [""]
        if done.returncode != 0 or done.stdout.strip() != wanted.version:
            raise Rejected(
                f"agent {wanted.version} failed its own check ({done.returncode}): {said[-1]}"
            )

    def _tell(self, wanted: AgentRef, why: str) -> None:
        """Once for each reason: a wheel that is refused is asked for again and again."""
        if self._told != (wanted.target.sha256, why):
            self._told = (wanted.target.sha256, why)
            self._notice("agent-refused", f"agent {wanted.version}: {why}", None)
