"""The executors: one function a step. Each may be repeated after a power cut at any point."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Literal, Union

from device_agent.admission import (
    Device,
    clock_problem,
    judge_release_path,
)
from device_agent.contact import Contact
from device_agent.deployment import Hand, Step
from device_agent.downloads import Downloader
from device_agent.errors import Rejected, Unavailable
from device_agent.fetching import Fetcher, device_for
from device_agent.journal import Journal
from device_agent.log import logger
from device_agent.plan import window_of
from device_agent.probation import judge
from device_agent.store import Store
from device_agent.supervisor import Supervisor
from device_agent.windows import seconds_until_open
from inference_core.contract.device import EnrolmentReply
from inference_core.contract.words import DeploymentPhase, FailureCause

if TYPE_CHECKING:  # tuf costs 9 MB that an agent without a deployment does not pay
    from device_agent.trust import SignedTargets

Outcome = Union[Literal["done", "look_again", "ended"], float]
"""``look_again``: the step goes on by itself, ask in a moment; a number: ask after so many
seconds at the latest. ``ended``: nothing is in hand."""


@dataclass(frozen=True)
class Hands:
    """What the executors work with."""

    enrolment: EnrolmentReply
    journal: Journal
    store: Store
    supervisor: Supervisor
    downloader: Downloader
    open_targets: Callable[[], SignedTargets]
    contact: Contact

    @property
    def device(self) -> Device:
        """What admission judges by."""
        return device_for(self.enrolment.profile, self.journal, self.store)

    def fetcher(self, hand: Hand) -> Fetcher:
        """Who brings the files of the deployment in hand."""
        rate_cap = hand.goal.rate_cap_bytes_s
        return Fetcher(self.device, self.store, self.downloader, self.open_targets, rate_cap)


def acknowledge(hands: Hands, hand: Hand) -> Outcome:
    """See that the goal is for this device at all, before anything is fetched."""
    judge_release_path(hand.release, hands.device)
    return "done"


def download(hands: Hands, hand: Hand) -> Outcome:
    """Fetch what is missing of the release."""
    hands.fetcher(hand).fetch(hand.release)
    return "done"


def verify(hands: Hands, hand: Hand) -> Outcome:
    """Hash everything again, as it lies on the disk now."""
    hands.fetcher(hand).verify(hand.release)
    return "done"


def stage(hands: Hands, hand: Hand) -> Outcome:
    """Give the release its place; ``current`` still points to the old one."""
    hands.fetcher(hand).stage(hand.release)
    return "done"


def wait_window(hands: Hands, hand: Hand) -> Outcome:
    """Let the line work on until it can bear a change; the planner ends the wait."""
    window = window_of(hand, hands.journal.goal)
    problem = clock_problem(datetime.now(timezone.utc), hands.journal.time_floor)
    if problem:
        raise Unavailable(f"cannot tell whether the update window is open: {problem}", delay_s=60)
    return seconds_until_open(window, datetime.now(timezone.utc)) if window else 0.0


def activate(hands: Hands, hand: Hand) -> Outcome:
    """Load the candidate, paused, beside the release that runs."""
    supervisor = hands.supervisor
    if not supervisor.has_candidate(hand.release.sha256):
        supervisor.start_candidate(hands.store.open(hand.release.sha256))
    is_ready, failure = supervisor.candidate_state()
    if failure:
        raise Rejected(failure.detail, cause=failure.cause)
    if not is_ready:
        return "look_again"
    hands.contact.mark()
    return "done"


def probe(hands: Hands, hand: Hand) -> Outcome:
    """Let the candidate judge live frames until it has passed or failed."""
    limits = hand.goal.probation
    seen = hands.supervisor.observe_candidate(is_compared=limits.min_agreement is not None)
    judgement = judge(limits, seen)
    if judgement.error:
        raise Rejected(judgement.error.detail, cause=judgement.error.cause)
    if judgement.word == "passed" and hands.contact.is_kept:
        return "done"
    _judge_contact(hands.contact, hand.goal.probation.max_offline_s)
    return "look_again"


def commit(hands: Hands, hand: Hand) -> Outcome:
    """Make the candidate the release to wake up with, and keep the old one beside it."""
    new = hand.release.sha256
    hands.store.switch(new, hand.old_sha256)
    hands.journal.raise_counter_floor(hands.store.counter_floor())
    hands.supervisor.adopt_candidate()
    hands.journal.end(DeploymentPhase.COMMITTED, new)
    hands.store.prune()
    logger.info("committed release %.12s", new)
    return "ended"


def roll_back(hands: Hands, hand: Hand) -> Outcome:
    """Go on with the old release; needs no network."""
    hands.supervisor.drop_candidate()
    if hands.store.current != hand.old_sha256:  # a commit was interrupted too often
        hands.store.restore(hand.old_sha256)
        hands.supervisor.drop_resident()
    return give_up(hands, hand)


def give_up(hands: Hands, hand: Hand) -> Outcome:
    """End a deployment, clean up behind it and keep its terminal report."""
    hands.store.drop_partials()
    ended = hands.journal.end(hand.last_phase, hands.store.current)
    hands.store.prune()
    reason = f"{ended.failure.cause}: {ended.failure.detail}" if ended.failure else "not wanted"
    logger.warning("%s release %.12s: %s", hand.last_phase, hand.release.sha256, reason)
    return "ended"


EXECUTORS: dict[Step, Callable[[Hands, Hand], Outcome]] = {
    Step.ACKNOWLEDGE: acknowledge,
    Step.DOWNLOAD: download,
    Step.VERIFY: verify,
    Step.STAGE: stage,
    Step.WAIT_WINDOW: wait_window,
    Step.ACTIVATE: activate,
    Step.PROBE: probe,
    Step.COMMIT: commit,
    Step.ROLL_BACK: roll_back,
    Step.GIVE_UP: give_up,
}


def _judge_contact(contact: Contact, max_offline_s: float) -> None:
    if not contact.is_kept and contact.owed_s > max_offline_s:
        raise Rejected(
            f"the server was reached before this release took over, and not for "
            f"{contact.owed_s:.0f} s since; {max_offline_s:g} s are allowed",
            cause=FailureCause.NO_CONTACT,
        )
