"""The parts of the agent, each given what it works with; nothing runs yet when they are made."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from device_agent.backoff import Backoff
from device_agent.building.abilities import Pace
from device_agent.building.errand import Building
from device_agent.building.surroundings import Surroundings
from device_agent.cameras import Cameras
from device_agent.config import Config
from device_agent.courier import Courier
from device_agent.downloads import Downloader
from device_agent.errands import Errand
from device_agent.facts import FactsErrand
from device_agent.files import remove_unfinished
from device_agent.frames import Frames
from device_agent.gateway import Gateway
from device_agent.identity import Identity
from device_agent.journal import Journal
from device_agent.keeper import Keeper
from device_agent.log_bundle import LogBundle
from device_agent.loop import Loop
from device_agent.notices import Notices
from device_agent.outbox import Outbox
from device_agent.performing import StepHook
from device_agent.push.certificates import Certificates
from device_agent.push.doorbell import Doorbell
from device_agent.sampling.losses import SampleLosses
from device_agent.sampling.sampler import Sampler
from device_agent.sampling.samples import Samples
from device_agent.sampling.upload_budget import UploadBudget
from device_agent.self_portrait import SelfPortrait
from device_agent.shadow import Shadow
from device_agent.store import Store
from device_agent.summaries import Summaries
from device_agent.supervisor import Supervisor
from device_agent.update.agent_code import AgentCode
from device_agent.update.errand import AgentUpdate
from device_agent.update.proof import Proof
from inference_core.contract.device import DeviceConfig

if TYPE_CHECKING:
    from device_agent.building.calls import TurnCalls


class Parts:
    """Everything under ``config.data_dir``, and who works with it.

    ``on_status`` is called every few seconds by the keeper; ``on_other_code`` when other code of
    the agent was put in place and wants to be started.
    """

    def __init__(
        self,
        config: Config,
        *,
        on_step: StepHook,
        on_status: Callable[[], None],
        on_other_code: Callable[[], None],
    ) -> None:
        remove_unfinished(config.data_dir)
        self._config, self._on_other_code = config, on_other_code
        self._open_books(config.data_dir)
        self._watch_frames(config.data_dir)
        self.certificates = Certificates(self.identity, self._new_gateway())
        self.doorbell = self._make_doorbell()
        self.loop = self._make_loop(on_step)
        self.courier = self._make_courier()
        self.keeper = Keeper(
            config,
            self.supervisor,
            self._summaries,
            self.outbox,
            self._cameras,
            on_status=on_status,
            on_sampling=self._sampler.turn,
        )
        self.portrait = self._make_portrait()

    def _open_books(self, folder: Path) -> None:
        """What survives a power cut."""
        config = self._config
        self.identity = Identity(folder / "identity")
        self.journal = Journal.open(folder / "journal.sqlite")
        self.store = Store(folder)
        self.code = AgentCode(folder / "agent")
        self.proof = Proof(
            self.code, hold_s=config.agent_proof_s, on_proven=self.journal.raise_agent_floor
        )
        self.outbox = Outbox.open(folder / "outbox.sqlite", limit_bytes=config.outbox_limit_bytes)
        self.notices = Notices(self.outbox)

    def _watch_frames(self, folder: Path) -> None:
        """Who infers, and what becomes of what is said of each frame."""
        config = self._config
        self._summaries, self._cameras = Summaries(), Cameras(self._device)
        self.supervisor = Supervisor(
            config,
            self.store,
            self.journal,
            on_event=lambda release_sha256, event: self._frames.take(release_sha256, event),  # noqa: PLW0108 - it comes later
            notice=self.notices.tell,
        )
        self.budget = UploadBudget(folder / "upload-budget.json", self._device)
        losses = SampleLosses(folder / "sample-losses.json")
        self.samples = Samples(
            folder / "samples",
            self.supervisor.spool_dir,
            limit=config.sample_limit,
            device=self._device,
            budget=self.budget,
            losses=losses,
        )
        self._sampler = Sampler(
            self.budget,
            losses,
            set_rates=self.supervisor.set_sample_rates,
            notice=self.notices.tell,
        )
        self._pace = Pace()
        self._frames = Frames(self._summaries, self._cameras, self.samples, self._pace)

    def _make_doorbell(self) -> Doorbell:
        return Doorbell(
            self.identity,
            ring=lambda: self.loop.ring(),  # noqa: PLW0108 - it comes later
            doubt=self.certificates.doubt,
            notice=self.notices.tell,
            backoff=self._new_backoff(),
            spread_s=self._config.bell_spread_s,
        )

    def _make_loop(self, on_step: StepHook) -> Loop:
        return Loop(
            self._config,
            identity=self.identity,
            gateway=self._new_gateway(),
            journal=self.journal,
            store=self.store,
            outbox=self.outbox,
            supervisor=self.supervisor,
            errands=self._make_errands(),
            on_step=on_step,
        )

    def _make_errands(self) -> list[Errand]:
        """What the goal asks for beside deployments, in the order in which it is done."""
        self.building = self._make_building()
        return [
            self.certificates,
            self.doorbell,
            self._make_log_bundle(),
            self._make_shadow(),
            self._make_update(),
            FactsErrand(self._new_gateway(), self.notices.tell),
            self.building,
        ]

    def _make_log_bundle(self) -> LogBundle:
        return LogBundle(
            self._config,
            self._new_gateway(),
            self.journal,
            health=lambda: self.keeper.health,
        )

    def _make_shadow(self) -> Shadow:
        return Shadow(
            self.identity,
            self.journal,
            self.store,
            self.supervisor,
            make_downloader=lambda on_piece: self._new_downloader(self.store.partial, on_piece),
            open_targets=lambda: self.loop.open_targets(),  # noqa: PLW0108 - it comes later
            breathe=lambda: self.loop.breathe(),  # noqa: PLW0108 - it comes later
            notice=self.notices.tell,
        )

    def _make_update(self) -> AgentUpdate:
        return AgentUpdate(
            self.code,
            self._config,
            journal=self.journal,
            downloader=self._new_downloader(self.code.partial, lambda: self.loop.breathe()),  # noqa: PLW0108 - it comes later
            open_targets=lambda: self.loop.open_targets(),  # noqa: PLW0108 - it comes later
            runs_inference=lambda: self.supervisor.running_sha256 is not None,
            notice=self.notices.tell,
            restart=self._on_other_code,
        )

    def _make_building(self) -> Building:
        surroundings = Surroundings(
            self._config, self.journal, self._pace, health=lambda: self.keeper.health
        )
        return Building(
            self._config,
            surroundings=surroundings,
            new_calls=self._new_turn_calls,
            lock_in=self.supervisor.lock_in,
            open_targets=lambda: self.loop.open_targets(),  # noqa: PLW0108 - it comes later
            profile=lambda: self.identity.enrolment.profile if self.identity.enrolment else "",
        )

    def _new_turn_calls(self) -> TurnCalls:
        from device_agent.building.calls import TurnCalls  # most boxes never build

        return TurnCalls(self._config, self.identity, self.journal.raise_time_floor)

    def _make_courier(self) -> Courier:
        return Courier(
            self._new_gateway(),
            self.journal,
            self.outbox,
            self.samples,
            backoff=self._new_backoff(),
            idle_s=min(1.0, self._config.min_poll_s),
        )

    def _make_portrait(self) -> SelfPortrait:
        return SelfPortrait(
            config=self._config,
            identity=self.identity,
            journal=self.journal,
            store=self.store,
            outbox=self.outbox,
            code=self.code,
            supervisor=self.supervisor,
            cameras=self._cameras,
            loop=self.loop,
            health=lambda: self.keeper.health,
            building=lambda: self.building.standing,
            push=lambda: self.doorbell.state,
            started_at=datetime.now(timezone.utc),
        )

    def _new_gateway(self) -> Gateway:
        """One for each thread, and for each errand: a session is nobody's but its owner's."""
        return Gateway(self._config, self.identity, self.journal.raise_time_floor)

    def _new_backoff(self) -> Backoff:
        return Backoff(base_s=self._config.retry_base_s, cap_s=self._config.retry_cap_s)

    def _new_downloader(self, partial: Path, on_piece: Callable[[], None]) -> Downloader:
        return Downloader(
            self._new_gateway(),
            partial,
            disk_reserve_bytes=self._config.disk_reserve_bytes,
            on_piece=on_piece,
        )

    def _device(self) -> DeviceConfig:
        return self.supervisor.device
