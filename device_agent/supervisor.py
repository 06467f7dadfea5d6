"""Keeps the right release running: one resident child, and at times a candidate beside it."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from device_agent.backoff import Backoff
from device_agent.child import Child, Event, end_leftovers
from device_agent.config import Config
from device_agent.errors import Rejected
from device_agent.files import make_folder
from device_agent.log import logger
from device_agent.probation import Observations
from device_agent.store import StagedRelease, Store
from inference_core.contract.device import DeviceConfig, ProgressError
from inference_core.contract.serve import FrameDone, FrameLost, ServeJob
from inference_core.contract.words import FailureCause

_STEADY_S = 60.0
"""A resident that has run this long has proven that restarting helps."""

_FAILED_GRACE_S = 0.5
"""A candidate that has failed is not waited for: most likely it hangs."""

Notice = Callable[[str, str, "str | None"], None]


class Supervisor:
    """All methods may be called from any thread; ``on_event`` comes from the children's threads.

    ``notice(name, detail, release_sha256)`` hears of edges that a person may want to read.
    """

    def __init__(
        self,
        config: Config,
        store: Store,
        *,
        on_event: Callable[[str, Event], None],
        notice: Notice,
    ) -> None:
        self._config, self._store = config, store
        self._on_event, self._notice = on_event, notice
        self._run_dir = make_folder(config.data_dir.absolute() / "run")
        self.spool_dir = make_folder(config.data_dir.absolute() / "spool")
        self._lock = threading.RLock()
        # Apart from the lock above, which is held while a child's reader thread is joined.
        self._seen_lock = threading.Lock()
        self._device = DeviceConfig()
        self._resident: Child | None = None
        self._candidate: Child | None = None
        self._seen: Observations | None = None
        self._probing_since = 0.0
        self._backoff = Backoff(base_s=config.retry_base_s, cap_s=60.0)
        self._restart_at = 0.0
        self._is_down = False
        end_leftovers(self._run_dir)

    @property
    def running_sha256(self) -> str | None:
        """Digest of the release that judges parts now, or None."""
        with self._lock:
            child = self._candidate if self._seen else self._resident
            return child.release_sha256 if child and child.failure is None else None

    @property
    def rss_bytes(self) -> int | None:
        """Memory of the resident child, as it said last."""
        with self._lock:
            return self._resident.rss_bytes if self._resident else None

    @property
    def device(self) -> DeviceConfig:
        """The cameras in use, and how often their frames are sampled."""
        return self._device

    def configure(self, device: DeviceConfig) -> None:
        """Take new cameras; a running resident is restarted with them."""
        with self._lock:
            if device != self._device:
                self._device = device
                if self._resident and not self._candidate:
                    logger.info("new device configuration: restarting inference")
                    self._end_resident()

    def tick(self) -> None:
        """Look after the resident: start it, notice that it died, start it again, later."""
        with self._lock:
            if self._resident:
                error = self._resident.failure or self._overweight(self._resident)
                if error is None:
                    self._note_steady(self._resident)
                    return
                self._bury(self._resident, error)
            if time.monotonic() >= self._restart_at:
                self._start_resident()

    def start_candidate(self, release: StagedRelease) -> None:
        """Load a release beside the resident, paused."""
        with self._lock:
            self._end_candidate()
            self._candidate = self._start(release, is_paused=True)

    def has_candidate(self, sha256: str) -> bool:
        """Whether a candidate of this release is loading or loaded."""
        with self._lock:
            return self._candidate is not None and self._candidate.release_sha256 == sha256

    def candidate_state(self) -> tuple[bool, ProgressError | None]:
        """Whether the candidate is ready, and why it failed if it did."""
        with self._lock:
            if self._candidate is None:
                raise LookupError("there is no candidate")
            return self._candidate.is_ready, self._candidate.failure

    def observe_candidate(self) -> Observations:
        """What the candidate has shown; the first call lets it take over the live frames."""
        with self._lock:
            if self._candidate is None:
                raise LookupError("there is no candidate")
            if self._seen is None:
                self._seen = Observations()
                self._probing_since = time.monotonic()
                if self._resident:
                    self._resident.send("pause")
                self._candidate.send("resume")
            with self._seen_lock:
                seen = replace(self._seen, lost=Counter(self._seen.lost))
            seen.elapsed_s = time.monotonic() - self._probing_since
            seen.silent_s = self._candidate.silent_s
            seen.rss_bytes = self._candidate.rss_bytes
            seen.failure = self._candidate.failure
            return seen

    def adopt_candidate(self) -> None:
        """The candidate has proven itself: it becomes the resident, the old one is stopped.

        Without a candidate (after a power cut) the resident is started anew from ``current``.
        """
        with self._lock:
            self._end_resident()
            self._resident, self._candidate, self._seen = self._candidate, None, None
            self._restart_at = 0.0

    def drop_candidate(self) -> None:
        """The candidate has failed: kill it, and let the resident go on at once."""
        with self._lock:
            if self._resident and self._resident.is_paused:
                self._resident.send("resume")
            self._end_candidate(grace_s=_FAILED_GRACE_S)

    def drop_resident(self) -> None:
        """Stop the resident; ``tick`` starts what is current by then."""
        with self._lock:
            self._end_resident()
            self._restart_at = 0.0

    def close(self) -> None:
        """Stop all children."""
        with self._lock:
            self._end_candidate()
            self._end_resident()

    def _start_resident(self) -> None:
        """Start ``current``.

        Where its files have rotted it is no longer current: the release before it runs, and the
        planner sees that the goal has to be fetched again.
        """
        while (sha256 := self._store.current) is not None:
            if self.has_candidate(sha256):
                return  # a commit is on its way: the candidate is about to be the resident
            try:
                release = self._store.open(sha256)
            except Rejected as error:
                self._notice("release-damaged", str(error), sha256)
                previous = self._store.previous
                self._store.restore(previous if previous != sha256 else None)
                continue
            self._resident = self._start(release, is_paused=self._seen is not None)
            logger.info("inference started: release %.12s, pid %d", sha256, self._resident.pid)
            return

    def _start(self, release: StagedRelease, *, is_paused: bool) -> Child:
        job = ServeJob(
            release_sha256=release.sha256,
            release=release.manifest,
            artifacts=release.artifacts,
            cameras=self._device.cameras,
            threads=self._config.threads,
            paused=is_paused,
            spool_dir=str(self.spool_dir),
            sample_every_s=self._device.sample_every_s,
            heartbeat_s=self._config.heartbeat_s,
        )
        return Child(
            job,
            command=(self._config.python, *self._config.child_args),
            environment=self._config.make_child_environment(),
            folder=self._run_dir,
            on_event=self._take,
            load_limit_s=self._config.load_limit_s,
            silence_limit_s=self._config.silence_limit_s,
        )

    def _take(self, child: Child, event: Event) -> None:
        with self._seen_lock:
            if child is self._candidate and self._seen is not None:
                if isinstance(event, FrameDone):
                    self._seen.add(event.result)
                elif isinstance(event, FrameLost):
                    self._seen.lost[event.cause] += 1
        self._on_event(child.release_sha256, event)

    def _bury(self, child: Child, error: ProgressError) -> None:
        delay_s = self._backoff.next_s()
        self._restart_at = time.monotonic() + delay_s
        logger.warning(
            "inference died (%s: %s); again in %.1f s", error.cause, error.detail, delay_s
        )
        if not self._is_down:
            self._is_down = True
            self._notice("inference-down", f"{error.cause}: {error.detail}", child.release_sha256)
        self._end_resident()

    def _note_steady(self, child: Child) -> None:
        if child.is_ready and self._is_down:
            self._is_down = False
            self._notice("inference-up", "", child.release_sha256)
        if child.age_s > _STEADY_S:
            self._backoff.reset()

    def _overweight(self, child: Child) -> ProgressError | None:
        limit = self._config.child_rss_limit_bytes
        if limit is None or (child.rss_bytes or 0) <= limit:
            return None
        return ProgressError(
            cause=FailureCause.OUT_OF_MEMORY,
            detail=f"it holds {child.rss_bytes} bytes, {limit} are allowed",
        )

    def _end_resident(self) -> None:
        if self._resident:
            self._resident.stop()
        self._resident = None

    def _end_candidate(self, grace_s: float = 5.0) -> None:
        if self._candidate:
            self._candidate.stop(grace_s)
        self._candidate, self._seen = None, None
