"""The release in the shadow: a child without cameras, fed with frames that the resident shares."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from device_agent.errors import Rejected
from device_agent.inference.child import Child
from device_agent.inference.children import Children
from device_agent.inference.cpu_budget import CpuBudget, read_cpu_s
from device_agent.inference.limits import refuse_if_too_big
from device_agent.inference.opinions import SecondOpinion
from device_agent.inference.pairs import ShadowPairs
from device_agent.log import logger
from device_agent.store import StagedRelease
from inference_core.contract.device import DeviceConfig, ProgressError, ShadowLimits
from inference_core.contract.results import FrameResult

_GRACE_S = 0.5
"""Nobody waits for what a shadow still has to say."""


@dataclass(frozen=True)
class ShadowOrder:
    """A release to run in the shadow, and what it may cost."""

    release: StagedRelease
    limits: ShadowLimits


class ShadowChild:
    """Started, fed, measured and ended by ``tend``; the supervisor's lock guards it.

    ``on_failed`` hears once of a shadow that crashed, hung or did not fit; then the order is
    dropped. ``child`` and ``opinion`` are read by the children's threads without the lock.
    """

    def __init__(self, children: Children, on_failed: Callable[[str, ProgressError], None]) -> None:
        self._children, self._on_failed = children, on_failed
        self._order: ShadowOrder | None = None
        self._budget: CpuBudget | None = None
        self.child: Child | None = None
        self.opinion: SecondOpinion | None = None
        self.pairs = ShadowPairs()

    @property
    def order(self) -> ShadowOrder | None:
        """What is wanted in the shadow, whether it runs already or not."""
        return self._order

    def want(self, order: ShadowOrder | None) -> None:
        """Run this in the shadow from the next ``tend`` on."""
        if order and self._order and order.limits != self._order.limits:
            self._budget = None
        self._order = order

    def tend(self, resident: Child | None, device: DeviceConfig, *, may_run: bool) -> None:
        """Bring what runs nearer to what is wanted; called several times a second."""
        order = self._order
        if order is None or not may_run or not self._runs(order):
            self.end()
        if order and may_run and resident and resident.is_ready:
            self._go_on(order, resident, device)
        if resident:
            resident.share(self._budget.share if self._budget else 0.0)

    def end(self) -> None:
        """Stop it; the order stands."""
        if self.child:
            self.child.stop(_GRACE_S)
        if self.opinion:
            self.opinion.forget()
        self.child = self.opinion = self._budget = None

    def _runs(self, order: ShadowOrder) -> bool:
        return self.child is not None and self.child.release_sha256 == order.release.sha256

    def _go_on(self, order: ShadowOrder, resident: Child, device: DeviceConfig) -> None:
        if resident.release_sha256 == order.release.sha256:
            return  # it has come out of the shadow
        if self.child is None:
            self._start(order, resident, device)
        elif error := self._children.failure_of(self.child):
            self._fail(order, error)
        elif self.child.is_ready:
            self._measure(order.limits, self.child)

    def _start(self, order: ShadowOrder, resident: Child, device: DeviceConfig) -> None:
        sha256 = order.release.sha256

        def count(sharer_sha256: str, said: FrameResult, other: FrameResult | None) -> None:
            self.pairs.add(sharer_sha256, said, sha256, other)

        try:
            refuse_if_too_big(order.release.manifest, resident.rss_bytes)
        except Rejected as error:
            self._fail(order, ProgressError(cause=error.cause, detail=str(error)[:2000]))
            return
        self.opinion = SecondOpinion(self._children.share_dir, count)
        self.child = self._children.start(order.release, device, "shadow")
        logger.info("release %.12s runs in the shadow, pid %d", sha256, self.child.pid)

    def _measure(self, limits: ShadowLimits, child: Child) -> None:
        """Counts from when it is ready: what its load costs is no frame's fault."""
        if self._budget is None:
            self._budget = CpuBudget(max_share=limits.share, max_cpu_share=limits.max_cpu_share)
        cpu_s = read_cpu_s(child.pid)
        if cpu_s is not None:
            self._budget.observe(time.monotonic(), cpu_s)

    def _fail(self, order: ShadowOrder, error: ProgressError) -> None:
        self._order = None
        self.end()
        self._on_failed(order.release.sha256, error)
