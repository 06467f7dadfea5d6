"""The agent put together: what runs beside what, and in which order it starts and stops."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import datetime, timezone

from device_agent.agent_code import AgentCode
from device_agent.backoff import Backoff
from device_agent.cameras import Cameras
from device_agent.certificates import Certificates
from device_agent.child import Event as ChildEvent
from device_agent.config import Config
from device_agent.courier import Courier
from device_agent.doorbell import Doorbell
from device_agent.downloads import Downloader
from device_agent.enrolment import read_token
from device_agent.errands import Errand
from device_agent.errors import Rejected
from device_agent.files import remove_unfinished
from device_agent.gateway import Gateway
from device_agent.identity import Identity
from device_agent.journal import Journal
from device_agent.keeper import Keeper
from device_agent.launcher import START_ANEW
from device_agent.log import Edge, logger
from device_agent.log_bundle import LogBundle
from device_agent.loop import Loop, StepHook
from device_agent.notify import Systemd
from device_agent.outbox import Outbox
from device_agent.proof import Proof, Standing
from device_agent.sample_losses import SampleLosses
from device_agent.sampler import Sampler
from device_agent.samples import Samples
from device_agent.shadow import Shadow
from device_agent.status import CameraStatus, Download, Status, write_status
from device_agent.store import Store
from device_agent.summaries import Summaries
from device_agent.supervisor import Supervisor
from device_agent.update import AgentUpdate
from device_agent.upload_budget import UploadBudget
from inference_core import __version__
from inference_core.contract.addresses import redact
from inference_core.contract.device import DeviceConfig
from inference_core.contract.serve import FrameDone, FrameLost
from inference_core.contract.telemetry import Event

_BREATHLESS_S = 300.0
"""A loop that has not turned for this long hangs, and systemd may restart the agent."""


class Agent:
    """Owns everything under ``config.data_dir`` while it runs."""

    def __init__(self, config: Config, on_step: StepHook = lambda _when, _step: None) -> None:
        folder = config.data_dir
        remove_unfinished(folder)
        self._config = config
        self._identity = Identity(folder / "identity")
        self._journal = Journal.open(folder / "journal.sqlite")
        self._store = Store(folder)
        self._code = AgentCode(folder / "agent")
        self._proof = Proof(
            self._code, hold_s=config.agent_proof_s, on_proven=self._journal.raise_agent_floor
        )
        self._wants_other_code = False
        self._outbox = Outbox.open(folder / "outbox.sqlite", limit_bytes=config.outbox_limit_bytes)
        self._summaries = Summaries()
        self._cameras = Cameras(self._device_config)
        self._supervisor = Supervisor(
            config,
            self._store,
            self._journal,
            on_event=self._take_event,
            notice=self._notice,
        )
        self._budget = UploadBudget(folder / "upload-budget.json", self._device_config)
        losses = SampleLosses(folder / "sample-losses.json")
        self._samples = Samples(
            folder / "samples",
            self._supervisor.spool_dir,
            limit=config.sample_limit,
            device=self._device_config,
            budget=self._budget,
            losses=losses,
        )
        self._sampler = Sampler(
            self._budget,
            losses,
            set_rates=self._supervisor.set_sample_rates,
            notice=lambda name, detail: self._notice(name, detail, None),
        )
        self._certificates = Certificates(self._identity, self._new_gateway())
        self._doorbell = Doorbell(
            self._identity,
            ring=lambda: self.loop.ring(),
            doubt=self._certificates.doubt,
            notice=self._notice,
            backoff=Backoff(base_s=config.retry_base_s, cap_s=config.retry_cap_s),
            spread_s=config.bell_spread_s,
        )
        self.loop = Loop(
            config,
            identity=self._identity,
            gateway=self._new_gateway(),
            journal=self._journal,
            store=self._store,
            outbox=self._outbox,
            supervisor=self._supervisor,
            errands=self._make_errands(),
            on_step=on_step,
        )
        self._courier = Courier(
            self._new_gateway(),
            self._journal,
            self._outbox,
            self._samples,
            backoff=Backoff(base_s=config.retry_base_s, cap_s=config.retry_cap_s),
            idle_s=min(1.0, config.min_poll_s),
        )
        self._keeper = Keeper(
            config,
            self._supervisor,
            self._summaries,
            self._outbox,
            self._cameras,
            on_status=self._tell_status,
            on_sampling=self._sampler.turn,
        )
        self._sampling = Edge("keeping samples")
        self._systemd = Systemd()
        self._started_at = datetime.now(timezone.utc)

    def run(self) -> int:
        """Work until a signal asks to stop; exit status 0, or that of an agent to be started anew.

        Inference starts first, the network comes second.
        """
        with self._running():
            self._systemd.ready()
            self.loop.run()
        if self._wants_other_code:
            return START_ANEW
        return 1 if self._proof.failure else 0

    def run_once(self, timeout_s: float) -> bool:
        """Settle, deliver everything and stop; whether the device is at its goal then.

        ``AgentError`` when the server cannot be reached, or the time is up.
        """
        with self._running():
            self.loop.run_until_settled(timeout_s)
            self._keeper.flush()
            self._courier.stop(close=False)
            self._courier.deliver_all()
            goal = self._journal.goal
            wanted = goal.release.sha256 if goal and goal.release else None
            return wanted is None or wanted == self._store.current

    @contextmanager
    def _running(self) -> Iterator[None]:
        if self._identity.enrolment is None:
            read_token(self._config)  # loud now, or a typing mistake would retry for ever
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.loop.stop())
        if self._config.is_plain_text:
            logger.warning("%s is not encrypted: use https", self._config.server_url)
        with suppress(OSError):  # a read-only disk keeps them
            self._samples.clear_spool()
        if self._journal.set_aside:
            self._notice("journal-set-aside", f"see {self._journal.set_aside.name}", None)
        self._tell_of_reverted_agent()
        self.loop.wake()
        self._keeper.start()
        self._courier.start()
        try:
            yield
        finally:
            self._stop()

    def _stop(self) -> None:
        """Children first, so that what they said last still reaches the outbox."""
        self._systemd.stopping()
        self._doorbell.close()
        self._keeper.stop()
        self._supervisor.close()
        self._keeper.flush()
        self._budget.close()
        self._courier.stop()
        self._tell_status()
        self._outbox.close()
        self._journal.close()

    def _make_errands(self) -> list[Errand]:
        """What the goal asks for beside deployments, in the order in which it is done."""
        return [
            self._certificates,
            self._doorbell,
            self._make_log_bundle(),
            self._make_shadow(),
            self._make_update(),
        ]

    def _make_log_bundle(self) -> LogBundle:
        return LogBundle(
            self._config,
            self._new_gateway(),
            self._journal,
            health=lambda: self._keeper.health,
        )

    def _make_shadow(self) -> Shadow:
        return Shadow(
            self._identity,
            self._journal,
            self._store,
            self._supervisor,
            make_downloader=lambda on_piece: Downloader(
                self._new_gateway(),
                self._store.partial,
                disk_reserve_bytes=self._config.disk_reserve_bytes,
                on_piece=on_piece,
            ),
            open_targets=lambda: self.loop.open_targets(),  # noqa: PLW0108 - it comes later
            breathe=lambda: self.loop.breathe(),  # noqa: PLW0108 - it comes later
            notice=self._notice,
        )

    def _make_update(self) -> AgentUpdate:
        return AgentUpdate(
            self._code,
            self._config,
            journal=self._journal,
            downloader=Downloader(
                self._new_gateway(),
                self._code.partial,
                disk_reserve_bytes=self._config.disk_reserve_bytes,
                on_piece=lambda: self.loop.breathe(),  # noqa: PLW0108 - it comes later
            ),
            open_targets=lambda: self.loop.open_targets(),  # noqa: PLW0108 - it comes later
            runs_inference=lambda: self._supervisor.running_sha256 is not None,
            notice=self._notice,
            restart=self._start_other_code,
        )

    def _start_other_code(self) -> None:
        self._wants_other_code = True
        self.loop.stop()

    def _tell_of_reverted_agent(self) -> None:
        starts = self._code.starts
        if starts.reverted:
            self._notice("agent-reverted", f"agent {starts.reverted[:12]}: {starts.why}", None)
            self._code.mark_told()

    def _new_gateway(self) -> Gateway:
        return Gateway(self._config, self._identity, self._journal.raise_time_floor)

    def _device_config(self) -> DeviceConfig:
        return self._supervisor.device

    def _take_event(self, release_sha256: str, event: ChildEvent) -> None:
        """On a child's reader thread."""
        if isinstance(event, (FrameDone, FrameLost)):
            self._summaries.add(release_sha256, event)
            self._cameras.take(event)
        if isinstance(event, FrameDone):
            self._keep_sample(release_sha256, event)

    def _keep_sample(self, release_sha256: str, event: FrameDone) -> None:
        try:
            self._samples.keep(release_sha256, event)
        except OSError as error:  # a full disk costs the picture, never the reading of verdicts
            self._sampling.broke(error)
        else:
            self._sampling.works()

    def _notice(self, name: str, detail: str, release_sha256: str | None) -> None:
        logger.warning("%s: %s", name, detail)
        event = Event(name=name, detail=detail[:2000], release_sha256=release_sha256)
        try:
            self._outbox.append(event)
        except sqlite3.Error as error:  # whoever has something to tell must get on with his work
            logger.warning("the outbox did not take it: %s", error)

    def _tell_status(self) -> None:
        if time.monotonic() - self.loop.breathed_at < _BREATHLESS_S:
            self._systemd.alive()
        self._proof.look(self._standing())
        if self._proof.failure:
            self.loop.stop()
        status = self._status()
        self._systemd.say(_summarise(status))
        write_status(self._config.data_dir, status)

    def _standing(self) -> Standing:
        poller, has_release = self.loop.poller, self._store.current is not None
        breathless = time.monotonic() - self.loop.breathed_at > _BREATHLESS_S
        is_idle = has_release and self._supervisor.running_sha256 is None
        never = None if poller.last_contact_at else "the server was not reached"
        return Standing(
            loop="the loop does not turn" if breathless else None,
            contact=poller.problem or never,
            inference="inference does not run" if is_idle else None,
        )

    def _status(self) -> Status:
        enrolment, goal, hand = self._identity.enrolment, self._journal.goal, self._journal.hand
        ending = next(iter(self._journal.endings.newest(1)), None)
        running, transfer = self._supervisor.running_sha256, self.loop.transfer
        return Status(
            at=datetime.now(timezone.utc),
            pid=os.getpid(),
            server_url=self._config.server_url,
            serial=self._config.serial,
            device_id=str(enrolment.device_id) if enrolment else None,
            profile=enrolment.profile if enrolment else self._config.profile,
            last_contact_at=self.loop.poller.last_contact_at,
            server_problem=self.loop.poller.problem,
            push=self._doorbell.state,
            running_sha256=running,
            running_release=self._name_of(running),
            previous_sha256=self._store.previous,
            goal_generation=goal.generation if goal else None,
            goal_sha256=goal.release.sha256 if goal and goal.release else None,
            step=hand.step if hand else None,
            step_problem=self.loop.step_problem if hand else None,
            last_ending=f"{ending.phase} {ending.detail} {ending.at}" if ending else None,
            reports_waiting=self._journal.reports.count(),
            records_waiting=self._outbox.count(),
            journal_is_durable=self._journal.is_durable,
            agent_version=__version__,
            agent_sha256=self._code.digest,
            is_on_trial=self._code.must_prove_itself,
            started_at=self._started_at,
            cameras=self._camera_states(),
            health=self._keeper.health,
            download=Download(**asdict(transfer)) if transfer else None,
        )

    def _camera_states(self) -> tuple[CameraStatus, ...]:
        states = self._cameras.states()
        return tuple(
            CameraStatus(
                name=camera.name,
                role=camera.role,
                address=redact(camera.address),
                state=states.get(camera.name),
            )
            for camera in self._device_config().cameras
        )

    def _name_of(self, sha256: str | None) -> str | None:
        try:
            return self._store.manifest(sha256).release if sha256 else None
        except Rejected:  # the status must be told also when a manifest has rotted
            return None


def _summarise(status: Status) -> str:
    """One line for ``systemctl status``."""
    runs = status.running_release or (status.running_sha256 or "")[:12]
    parts = [f"runs {runs}" if runs else "runs no release"]
    if status.step:
        parts.append(f"deployment: {status.step}")
    if status.server_problem:
        parts.append("the server is away")
    return "; ".join(parts)
