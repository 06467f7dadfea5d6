"""What the agent says of itself: the status for people, its standing for its own proof."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone

from device_agent.cameras import Cameras
from device_agent.config import Config
from device_agent.deployment import Step
from device_agent.errors import Rejected, Unavailable
from device_agent.identity import Identity
from device_agent.journal import Journal
from device_agent.loop import Loop
from device_agent.outbox import Outbox
from device_agent.plan import window_of
from device_agent.status import BuildStatus, CameraStatus, Download, LastDeployment, Status
from device_agent.store import Store
from device_agent.supervisor import Supervisor
from device_agent.update.agent_code import AgentCode
from device_agent.update.proof import Standing
from device_agent.windows import seconds_until_open
from inference_core import __version__
from inference_core.contract.addresses import redact
from inference_core.contract.telemetry import Health
from inference_core.contract.words import DeploymentPhase

_BREATHLESS_S = 300.0
"""A loop that has not turned for this long hangs, and systemd may restart the agent."""


@dataclass(frozen=True, kw_only=True)
class SelfPortrait:
    """Looks at the agent's parts and changes none. ``health`` and ``push`` say what was last."""

    config: Config
    identity: Identity
    journal: Journal
    store: Store
    outbox: Outbox
    code: AgentCode
    supervisor: Supervisor
    cameras: Cameras
    loop: Loop
    health: Callable[[], Health | None]
    building: Callable[[], BuildStatus | None]
    push: Callable[[], str | None]
    started_at: datetime

    @property
    def is_breathing(self) -> bool:
        """Whether the loop still turns."""
        return time.monotonic() - self.loop.breathed_at < _BREATHLESS_S

    def standing(self) -> Standing:
        """How this agent does now, for whoever judges whether it may stay."""
        poller, has_release = self.loop.poller, self.store.current is not None
        is_idle = has_release and self.supervisor.running_sha256 is None
        never = None if poller.last_contact_at else "the server was not reached"
        return Standing(
            loop=None if self.is_breathing else "the loop does not turn",
            contact=poller.problem or never,
            inference="inference does not run" if is_idle else None,
        )

    def status(self) -> Status:
        """What a technician in front of the box wants to know."""
        enrolment, goal, hand = self.identity.enrolment, self.journal.goal, self.journal.hand
        running, shadow = self.supervisor.running_sha256, self.supervisor.shadow_sha256
        transfer, build = self.loop.performer.transfer, self.building()
        return Status(
            at=datetime.now(timezone.utc),
            pid=os.getpid(),
            server_url=self.config.server_url,
            serial=self.config.serial,
            device_id=str(enrolment.device_id) if enrolment else None,
            profile=enrolment.profile if enrolment else self.config.profile,
            last_contact_at=self.loop.poller.last_contact_at,
            server_problem=self.loop.poller.problem,
            is_refused=self.loop.poller.is_refused,
            push=self.push(),
            running_sha256=running,
            running_release=self._name_of(running),
            shadow_sha256=shadow,
            shadow_release=self._name_of(shadow),
            variant=self.journal.variant,
            previous_sha256=self.store.previous,
            goal_generation=goal.generation if goal else None,
            goal_sha256=goal.release.sha256 if goal and goal.release else None,
            step=hand.step if hand else None,
            step_problem=self.loop.performer.problem if hand else None,
            window_opens_at=self._window_opens_at(),
            last=self._last(),
            reports_waiting=self.journal.reports.count(),
            records_waiting=self.outbox.count(),
            journal_is_durable=self.journal.is_durable,
            agent_version=__version__,
            agent_sha256=self.code.digest,
            is_on_trial=self.code.must_prove_itself,
            started_at=self.started_at,
            cameras=self._camera_states(),
            health=self.health(),
            download=Download(**asdict(transfer)) if transfer else None,
            build=build,
        )

    def _window_opens_at(self) -> datetime | None:
        """When what waits for its line's window may go on; None where nothing does."""
        hand, now = self.journal.hand, datetime.now(timezone.utc)
        if hand is None or hand.step is not Step.WAIT_WINDOW:
            return None
        window = window_of(hand, self.journal.goal)
        try:
            return now + timedelta(seconds=seconds_until_open(window, now)) if window else None
        except Unavailable:  # the step that waits says why
            return None

    def _last(self) -> LastDeployment | None:
        for ending in self.journal.endings.newest(1):
            return LastDeployment(
                phase=DeploymentPhase(ending.phase),
                detail=ending.detail,
                sha256=ending.release_sha256,
                at=datetime.fromisoformat(ending.at),
            )
        return None

    def _camera_states(self) -> tuple[CameraStatus, ...]:
        states = self.cameras.states()
        return tuple(
            CameraStatus(
                name=camera.name,
                role=camera.role,
                address=redact(camera.address),
                state=states.get(camera.name),
            )
            for camera in self.supervisor.device.cameras
        )

    def _name_of(self, sha256: str | None) -> str | None:
        try:
            return self.store.manifest(sha256).release if sha256 else None
        except Rejected:  # the status must be told also when a manifest has rotted
            return None


def summarise(status: Status) -> str:
    """One line for ``systemctl status``."""
    runs = status.running_release or (status.running_sha256 or "")[:12]
    parts = [f"runs {runs}" if runs else "runs no release"]
    if status.step:
        parts.append(f"deployment: {status.step}")
    if status.server_problem:
        parts.append("the server is away")
    return "; ".join(parts)
