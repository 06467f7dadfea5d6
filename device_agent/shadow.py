"""Brings the release that the goal wants in the shadow, beside whatever runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from device_agent.admission import judge_release_path
from device_agent.downloads import Downloader
from device_agent.errands import SELDOM_S
from device_agent.errors import Rejected, Unavailable
from device_agent.fetching import Fetcher, device_for
from device_agent.identity import Identity
from device_agent.inference.shadow_child import ShadowOrder
from device_agent.journal import Journal
from device_agent.notices import Notice
from device_agent.store import Store
from device_agent.supervisor import Supervisor
from inference_core.contract.device import Goal
from inference_core.contract.release import TargetRef

if TYPE_CHECKING:
    from device_agent.trust import SignedTargets


class Shadow:
    """An errand. Whatever goes wrong with the shadow ends the shadow, and nothing else.

    It is admitted like a release that is deployed: the same signatures, profile and counter.
    ``breathe`` is called between two pieces of a download, by what ``make_downloader`` makes.
    """

    name = "the release in the shadow"

    def __init__(
        self,
        identity: Identity,
        journal: Journal,
        store: Store,
        supervisor: Supervisor,
        *,
        make_downloader: Callable[[Callable[[], None]], Downloader],
        open_targets: Callable[[], SignedTargets],
        breathe: Callable[[], None],
        notice: Notice,
    ) -> None:
        self._identity, self._journal = identity, journal
        self._store, self._supervisor = store, supervisor
        self._open_targets, self._breathe, self._notice = open_targets, breathe, notice
        self._downloader = make_downloader(self._go_on)
        self._fetching: Goal | None = None

    def turn(self, goal: Goal) -> float:
        """Let the supervisor run what is wanted; one that failed is not tried again."""
        wanted = goal.shadow
        self._journal.endings.forget_shadows(but=wanted.sha256 if wanted else None)
        if wanted is None or self._is_vain(wanted):
            self._supervisor.order_shadow(None)
            self._keep(None)
            return SELDOM_S
        order = self._supervisor.shadow_order
        if order is None or order.release.sha256 != wanted.sha256:
            self._supervisor.order_shadow(None)
            try:
                order = self._bring(wanted, goal)
            except Rejected as error:
                self._refuse(wanted, error)
                return SELDOM_S
        self._supervisor.order_shadow(ShadowOrder(order.release, goal.shadow_limits))
        return SELDOM_S

    def _bring(self, wanted: TargetRef, goal: Goal) -> ShadowOrder:
        enrolment = self._identity.enrolment
        if enrolment is None:
            raise Unavailable("nothing is fetched before the device is enrolled")
        device = device_for(enrolment.profile, self._journal, self._store)
        judge_release_path(wanted, device)
        fetcher = Fetcher(
            device, self._store, self._downloader, self._open_targets, goal.rate_cap_bytes_s
        )
        if self._store.shadow != wanted.sha256:
            self._fetching = goal
            fetcher.fetch(wanted)
            fetcher.verify(wanted)
            fetcher.stage(wanted)
            self._keep(wanted.sha256)
        return ShadowOrder(self._store.open(wanted.sha256), goal.shadow_limits)

    def _keep(self, sha256: str | None) -> None:
        """Keep this release for the shadow, and drop the one before it."""
        if sha256 == self._store.shadow:
            return
        self._store.keep_for_shadow(sha256)
        hand = self._journal.hand
        self._store.prune(also_keep=[hand.release.sha256] if hand else [])

    def _go_on(self) -> None:
        """Deployments go first: a download for the shadow gives way to any other goal."""
        self._breathe()
        if self._journal.goal != self._fetching:
            raise Unavailable("the goal changed during the download", delay_s=0.0)

    def _refuse(self, wanted: TargetRef, error: Rejected) -> None:
        detail = f"{error.cause}: {error}"
        self._journal.endings.note_shadow(wanted.sha256, detail)
        self._keep(None)
        self._notice("shadow-failed", detail, wanted.sha256)

    def _is_vain(self, wanted: TargetRef) -> bool:
        is_current = wanted.sha256 == self._store.current
        return is_current or self._journal.endings.has_shadow(wanted.sha256)
