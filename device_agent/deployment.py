"""The deployment in hand: the steps it takes on the device, and what is kept of it."""

from __future__ import annotations

from inference_core.contract.base import Message
from inference_core.contract.device import Goal, ProgressError
from inference_core.contract.release import TargetRef
from inference_core.contract.words import DeploymentPhase, FailureCause, Word


class Step(Word):
    """What the agent does next. The journal names the step before its work begins."""

    ACKNOWLEDGE = "acknowledge"
    DOWNLOAD = "download"
    VERIFY = "verify"
    STAGE = "stage"
    WAIT_WINDOW = "wait_window"
    ACTIVATE = "activate"
    PROBE = "probe"
    COMMIT = "commit"
    ROLL_BACK = "roll_back"
    GIVE_UP = "give_up"


FORWARD = (
    Step.ACKNOWLEDGE,
    Step.DOWNLOAD,
    Step.VERIFY,
    Step.STAGE,
    Step.WAIT_WINDOW,
    Step.ACTIVATE,
    Step.PROBE,
    Step.COMMIT,
)
"""The whole way; a deployment that need not wait leaves ``wait_window`` out."""

ENTRY_PHASES: dict[Step, tuple[DeploymentPhase, ...]] = {
    Step.ACKNOWLEDGE: (DeploymentPhase.ACKNOWLEDGED,),
    Step.DOWNLOAD: (DeploymentPhase.DOWNLOADING,),
    Step.VERIFY: (),
    Step.STAGE: (DeploymentPhase.VERIFIED,),
    Step.WAIT_WINDOW: (DeploymentPhase.STAGED, DeploymentPhase.WAITING_WINDOW),
    Step.ACTIVATE: (DeploymentPhase.STAGED, DeploymentPhase.ACTIVATING),
    Step.PROBE: (DeploymentPhase.PROBATION,),
    Step.COMMIT: (),
    Step.ROLL_BACK: (),
    Step.GIVE_UP: (),
}
"""Phases that become true, and are reported, when a step is entered for the first time."""

_REFUSALS = frozenset(
    {FailureCause.UNTRUSTED, FailureCause.WRONG_PROFILE, FailureCause.OLD_COUNTER}
)


class Hand(Message):
    """A goal that is being brought into use. ``old_sha256`` is what to go back to."""

    goal: Goal
    step: Step
    phase: DeploymentPhase = DeploymentPhase.QUEUED
    wakes: int = 0
    old_sha256: str | None = None
    failure: ProgressError | None = None
    superseded: bool = False

    @property
    def key(self) -> str:
        """Names this attempt for ever: by deployment, or by generation where there is none."""
        return goal_key(self.goal)

    @property
    def release(self) -> TargetRef:
        """The release to bring into use."""
        if self.goal.release is None:
            raise ValueError("a goal without a release is never taken in hand")
        return self.goal.release

    @property
    def disturbs(self) -> bool:
        """Whether bringing it into use takes a release away that judges parts now.

        A first release, and one that is brought back because its files rotted, disturb nobody.
        """
        return self.old_sha256 is not None and self.goal.deployment is not None

    @property
    def is_activated(self) -> bool:
        """Whether the candidate may have run: such a deployment ends by rolling back."""
        return self.step in (Step.ACTIVATE, Step.PROBE, Step.COMMIT, Step.ROLL_BACK)

    @property
    def is_lost(self) -> bool:
        """Whether it can only be ended."""
        return self.failure is not None or self.superseded

    @property
    def last_phase(self) -> DeploymentPhase:
        """The terminal phase to report once it has been ended."""
        if self.superseded:
            return DeploymentPhase.SUPERSEDED
        if self.is_activated:
            return DeploymentPhase.ROLLED_BACK
        refused = self.failure is not None and self.failure.cause in _REFUSALS
        return DeploymentPhase.REJECTED if refused else DeploymentPhase.FAILED


def goal_key(goal: Goal) -> str:
    """The deployment's id, or the generation where the goal belongs to none."""
    return str(goal.deployment.id) if goal.deployment else f"generation-{goal.generation}"


def without_deployment(goal: Goal) -> Goal:
    """The same goal with nobody to report to."""
    return goal.model_copy(update={"deployment": None})
