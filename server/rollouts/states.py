"""States of rollouts, stages and deployments; the rules are in docs/architecture.md."""

from __future__ import annotations

from django.db import models

from inference_core.contract.words import TERMINAL_PHASES, DeploymentPhase
from server.lib.states import Machine


class RolloutState(models.TextChoices):
    """``held`` is no state: it is running, with a gate that says hold."""

    DRAFT = "draft"
    SCHEDULED = "scheduled"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    STOPPED = "stopped"
    ROLLED_BACK = "rolled_back"


R = RolloutState
ROLLOUT = Machine(
    "rollout",
    {
        R.DRAFT: frozenset({R.SCHEDULED, R.STOPPED}),
        R.SCHEDULED: frozenset({R.RUNNING, R.STOPPED}),
        R.RUNNING: frozenset({R.PAUSED, R.SUCCEEDED, R.STOPPED, R.ROLLED_BACK}),
        R.PAUSED: frozenset({R.RUNNING, R.STOPPED, R.ROLLED_BACK}),
        R.SUCCEEDED: frozenset(),
        R.STOPPED: frozenset(),
        R.ROLLED_BACK: frozenset(),
    },
)


class StageState(models.TextChoices):
    """Open takes devices in; soaking watches what they do."""

    WAITING = "waiting"
    OPEN = "open"
    SOAKING = "soaking"
    PASSED = "passed"
    FAILED = "failed"


S = StageState
STAGE = Machine(
    "stage",
    {
        S.WAITING: frozenset({S.OPEN, S.FAILED}),
        S.OPEN: frozenset({S.SOAKING, S.FAILED}),
        S.SOAKING: frozenset({S.OPEN, S.PASSED, S.FAILED}),
        S.PASSED: frozenset(),
        S.FAILED: frozenset(),
    },
)

P = DeploymentPhase
_ORDER = [
    P.QUEUED,
    P.ACKNOWLEDGED,
    P.DOWNLOADING,
    P.VERIFIED,
    P.STAGED,
    P.WAITING_WINDOW,
    P.ACTIVATING,
    P.PROBATION,
]
_ENDS = {P.ROLLED_BACK, P.FAILED, P.REJECTED, P.SUPERSEDED, P.TIMED_OUT, P.REMOVED}
_LATE_ENDS = {P.COMMITTED}

# A device reports what it has reached; it may pass over phases (nothing to download), and a
# report that was lost is made up for by the next one. It never goes back.
DEPLOYMENT = Machine(
    "deployment",
    {
        **{
            str(phase): frozenset(map(str, [*_ORDER[index + 1 :], *_ENDS, *_LATE_ENDS]))
            for index, phase in enumerate(_ORDER)
        },
        **{str(phase): frozenset() for phase in TERMINAL_PHASES},
    },
    field="phase",
)
