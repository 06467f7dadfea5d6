"""How an inference child is started: its job, its rank among others, what it may hold."""

from __future__ import annotations

import threading
from collections.abc import Callable
from weakref import WeakSet

from device_agent.config import Config
from device_agent.files import make_folder
from device_agent.inference.child import Cell, Child, Event
from device_agent.inference.leftovers import end_leftovers
from device_agent.inference.limits import Cage, Role, default_limit_bytes, rank
from device_agent.inference.opinions import clear_shared
from device_agent.store import StagedRelease
from inference_core.contract.device import DeviceConfig, ProgressError
from inference_core.contract.serve import ServeJob, SetSampleRates
from inference_core.contract.words import FailureCause


class Children:
    """Starts children and judges how they are; ``on_event`` is called on their own threads."""

    def __init__(self, config: Config, on_event: Callable[[Child, Event], None]) -> None:
        self._config, self._on_event = config, on_event
        folder = config.data_dir.absolute()
        self._run_dir = make_folder(folder / "run")
        self.spool_dir = make_folder(folder / "spool")
        self.share_dir = make_folder(folder / "share")
        self._limit_bytes = config.child_rss_limit_bytes or default_limit_bytes()
        self._cage = Cage.find()
        self.starts = 0
        self._rates_lock = threading.Lock()
        self._sample_rates: SetSampleRates | None = None
        self._started: WeakSet[Child] = WeakSet()
        end_leftovers(self._run_dir)

    def start(
        self, release: StagedRelease, device: DeviceConfig, role: Role, *, is_paused: bool = False
    ) -> Child:
        """Start a child for a release; a shadow gets no cameras."""
        clear_shared(self.share_dir)
        child = Child(
            self._make_job(release, device, role, is_paused=is_paused),
            command=(self._config.python, *self._config.child_args),
            environment=self._config.make_child_environment(),
            folder=self._run_dir,
            on_event=self._on_event,
            load_limit_s=self._config.load_limit_s,
            silence_limit_s=self._config.silence_limit_s,
        )
        self.starts += 1
        with self._rates_lock:
            self._started.add(child)
            if self._sample_rates:
                child.tell(self._sample_rates)
        rank(child.pid, role)
        if self._limit_bytes:
            child.cell = self.lock_in(child.pid, self._limit_bytes)
        return child

    def lock_in(self, pid: int, limit_bytes: int) -> Cell | None:
        """Have the kernel hold a process to its memory, where this box allows it."""
        return self._cage.lock_in(pid, limit_bytes) if self._cage else None

    def set_sample_rates(self, rates: SetSampleRates) -> None:
        """Tell all children, also those that start later. One that is gone cannot hear."""
        with self._rates_lock:
            self._sample_rates = rates
            for child in self._started:
                child.tell(rates)

    def failure_of(self, child: Child) -> ProgressError | None:
        """Why a child cannot be relied on any more, or None."""
        return child.failure or self._overweight(child)

    def _make_job(
        self, release: StagedRelease, device: DeviceConfig, role: Role, *, is_paused: bool
    ) -> ServeJob:
        is_shadow = role == "shadow"
        return ServeJob(
            release_sha256=release.sha256,
            release=release.manifest,
            artifacts=release.artifacts,
            cameras=() if is_shadow else device.cameras,
            threads=self._config.threads,
            paused=is_paused,
            spool_dir=None if is_shadow else str(self.spool_dir),
            sample_every_s=device.sample_every_s,
            sampling=device.sampling,
            heartbeat_s=self._config.heartbeat_s,
            share_dir=str(self.share_dir),
        )

    def _overweight(self, child: Child) -> ProgressError | None:
        limit = self._limit_bytes
        if limit is None or (child.rss_bytes or 0) <= limit:
            return None
        return ProgressError(
            cause=FailureCause.OUT_OF_MEMORY,
            detail=f"it holds {child.rss_bytes} bytes, {limit} are allowed",
        )
