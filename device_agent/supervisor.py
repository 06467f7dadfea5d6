"""Keeps the right release running: one resident child, and at times another beside it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from device_agent.config import Config
from device_agent.inference.child import Cell, Child, Event
from device_agent.inference.children import Children
from device_agent.inference.opinions import clear_shared, drop_shared
from device_agent.inference.resident import Resident
from device_agent.inference.shadow_child import ShadowChild, ShadowOrder
from device_agent.inference.trial import Trial
from device_agent.journal import Journal
from device_agent.log import logger
from device_agent.notices import Notice
from device_agent.probation import Observations
from device_agent.store import StagedRelease, Store
from inference_core.contract.device import DeviceConfig, ProgressError
from inference_core.contract.serve import FrameDone, FrameJudged, SetSampleRates
from inference_core.contract.telemetry import ShadowSummary

_FAILED_GRACE_S = 0.5
"""A candidate that has failed is not waited for: most likely it hangs."""


class Supervisor:
    """All methods may be called from any thread; ``on_event`` comes from the children's threads.

    Two releases fit beside each other, three may not: while a candidate is on trial, nothing
    runs in the shadow.
    """

    def __init__(
        self,
        config: Config,
        store: Store,
        journal: Journal,
        *,
        on_event: Callable[[str, Event], None],
        notice: Notice,
    ) -> None:
        self._store, self._journal = store, journal
        self._on_event, self._notice = on_event, notice
        self._lock = threading.RLock()
        self._device = DeviceConfig()
        self._children = Children(config, self._take)
        self.spool_dir = self._children.spool_dir
        self._resident = Resident(config, store, journal, self._children, notice)
        self._trial = Trial(self._children)
        self._shadow = ShadowChild(self._children, self._bury_shadow)

    @property
    def running_sha256(self) -> str | None:
        """Digest of the release that judges parts now, or None."""
        with self._lock:
            child = self._trial.child if self._trial.is_probing else self._resident.child
            return child.release_sha256 if child and child.failure is None else None

    @property
    def shadow_sha256(self) -> str | None:
        """Digest of the release that runs in the shadow, or None."""
        child = self._shadow.child
        return child.release_sha256 if child and child.is_ready else None

    @property
    def shadow_order(self) -> ShadowOrder | None:
        """What is wanted in the shadow; None too once it has failed."""
        return self._shadow.order

    @property
    def rss_bytes(self) -> int | None:
        """Memory of the resident child, as it said last."""
        child = self._resident.child
        return child.rss_bytes if child else None

    @property
    def child_starts(self) -> int:
        """How many inference children have been started since the agent's own start."""
        return self._children.starts

    @property
    def device(self) -> DeviceConfig:
        """The cameras in use, and how often their frames are sampled."""
        return self._device

    def configure(self, device: DeviceConfig) -> None:
        """Take new cameras; a running resident is restarted with them."""
        with self._lock:
            if device != self._device:
                self._device = device
                if self._resident.child and not self._trial.child:
                    logger.info("new device configuration: restarting inference")
                    self._resident.end()

    def set_sample_rates(self, rates: SetSampleRates) -> None:
        """What the upload budget allows, for all children."""
        self._children.set_sample_rates(rates)

    def lock_in(self, pid: int, limit_bytes: int) -> Cell | None:
        """Hold a process that is no inference to its memory; None where the box cannot."""
        return self._children.lock_in(pid, limit_bytes)

    def order_shadow(self, order: ShadowOrder | None) -> None:
        """Run a release in the shadow from the next ``tick`` on, or none."""
        with self._lock:
            self._shadow.want(order)

    def flush_pairs(self) -> list[ShadowSummary]:
        """What resident and shadow said of the same frames since the last flush."""
        return self._shadow.pairs.flush()

    def tick(self) -> None:
        """Look after resident and shadow: several times a second."""
        with self._lock:
            trial, resident = self._trial, self._resident
            before = resident.child
            resident.tend(self._device, trial.child, is_paused=trial.is_probing)
            if resident.child is not before:
                trial.agreement.forget()
            self._shadow.tend(resident.child, self._device, may_run=trial.child is None)

    def start_candidate(self, release: StagedRelease) -> None:
        """Load a release beside the resident, paused. ``Rejected`` where both do not fit."""
        with self._lock:
            self._shadow.end()
            self._trial.start(release, self._device, self._resident.child)

    def has_candidate(self, sha256: str) -> bool:
        """Whether a candidate of this release is loading or loaded."""
        child = self._trial.child
        return child is not None and child.release_sha256 == sha256

    def candidate_state(self) -> tuple[bool, ProgressError | None]:
        """Whether the candidate is ready, and why it failed if it did."""
        with self._lock:
            return self._trial.state()

    def observe_candidate(self, *, is_compared: bool = False) -> Observations:
        """What the candidate has shown; the first call lets it take over the live frames.

        ``is_compared``: the release before it judges them too, where there is one.
        """
        with self._lock:
            is_new = not self.has_candidate(self._store.current or "")
            has_old = self._store.current is not None and is_new
            self._trial.begin(self._resident.child, is_compared=is_compared and has_old)
            return self._trial.observe()

    def adopt_candidate(self) -> None:
        """The candidate has proven itself: it becomes the resident, the old one is stopped.

        Without a candidate (after a power cut) the resident is started anew from ``current``.
        """
        with self._lock:
            self._resident.adopt(self._trial.release())

    def drop_candidate(self) -> None:
        """The candidate has failed: kill it, and let the resident go on at once."""
        with self._lock:
            resident = self._resident.child
            if resident and resident.is_paused:
                resident.send("resume")
            self._trial.end(_FAILED_GRACE_S)

    def drop_resident(self) -> None:
        """Stop the resident; ``tick`` starts what is current by then."""
        with self._lock:
            self._resident.adopt(None)

    def close(self) -> None:
        """Stop all children."""
        with self._lock:
            self._shadow.end()
            self._trial.end()
            self._resident.end()
            clear_shared(self._children.share_dir)

    def _take(self, child: Child, event: Event) -> None:
        """On a child's own thread, which the lock must never be waited for in."""
        if child is self._trial.child:
            self._trial.take(event)
        if isinstance(event, FrameDone):
            self._hand_on(child, event)
        elif isinstance(event, FrameJudged):
            is_shadow = child is self._shadow.child
            opinion = self._shadow.opinion if is_shadow else self._trial.agreement
            if opinion:
                opinion.answer(event)
        self._on_event(child.release_sha256, event)

    def _hand_on(self, sharer: Child, done: FrameDone) -> None:
        """Let another child judge a shared frame: the paused resident, or the shadow."""
        if sharer is self._trial.child:
            self._trial.agreement.ask(done, sharer, self._resident.child)
        elif opinion := self._shadow.opinion:
            opinion.ask(done, sharer, self._shadow.child)
        else:  # shared a moment before it was told to share no more
            drop_shared(self._children.share_dir, done)

    def _bury_shadow(self, sha256: str, error: ProgressError) -> None:
        detail = f"{error.cause}: {error.detail}"
        self._journal.endings.note_shadow(sha256, detail)
        self._notice("shadow-failed", detail, sha256)
