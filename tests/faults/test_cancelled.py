"""A deployment that the server takes back, at every step: the old release, one report, no litter.

The agent is held before a step. Then the server closes the deployment and wants the old release
again (as it does when somebody stops a rollout), or wants a newer one; and the agent goes on.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from inference_core.contract.device import ProbationLimits
from inference_core.contract.release import TargetRef
from inference_core.contract.window import UpdateWindow, WindowSlot
from inference_core.contract.words import DeploymentPhase
from tests.agent.device import PROFILE
from tests.agent.gateway_simulator import Deployment, Simulator
from tests.agent.signed_repository import SignedRepository
from tests.faults.power_cut import Hold
from tests.faults.quick import QuickDevice

PROVEN_BY_THEN = {"roll_back": "rolled_back", "give_up": "rejected", "commit": "committed"}
"""How a deployment ends that was decided before anybody took it back."""
FORWARD = "acknowledge", "download", "verify", "stage", "wait_window", "activate", "probe"
STEPS = (*FORWARD, *PROVEN_BY_THEN)


class Held:
    """A device with a proven release, and a second one that it is held in the middle of."""

    def __init__(
        self, step: str, device: QuickDevice, server: Simulator, repository: SignedRepository
    ) -> None:
        self.device, self._server, self._repository = device, server, repository
        self.old = self.sign("old", counter=5)
        device.switch_on()
        self.await_end(server.assign(self.old), self.old)
        device.switch_off()
        behaviour: dict[str, object] = {"nan_from_run": 0} if step == "roll_back" else {}
        new = self.sign("new", counter=1 if step == "give_up" else 6, behaviour=behaviour)
        self.deployment = server.assign(
            new,
            probation=ProbationLimits(min_frames=3),
            window=_shut_window() if step == "wait_window" else None,
        )
        folder = device.state.parent
        self._hold = Hold(step, here=folder / "here", go=folder / "go")
        device.switch_on(hold=self._hold)
        device.wait(self._hold.here.exists, f"come to {step}")

    def sign(
        self, name: str, counter: int, behaviour: dict[str, object] | None = None
    ) -> TargetRef:
        return self._repository.add_release(
            name, profile=PROFILE, counter=counter, behaviour=behaviour
        )

    def go_on(self) -> None:
        self._hold.go.touch()

    def await_end(self, deployment: Deployment, release: TargetRef) -> None:
        self.device.wait(lambda: deployment.terminal_reports, "ended")
        self.await_run(release)

    def await_run(self, release: TargetRef) -> None:
        self.device.wait(lambda: self.device.current == release.sha256, "the release to wake with")
        self.device.wait(lambda: self.device.running == release.sha256, "running it")
        self.device.wait(lambda: len(self.device.children()) == 1, "one child, and only one")

    def assert_clean(self) -> None:
        """Nothing is left over, and what is told was told: the next start says nothing more."""
        self.device.switch_off()
        assert self.device.leftovers() == []
        told = len(self._progress())
        self.device.switch_on()
        polls = len(self._server.reports)
        self.device.wait(lambda: len(self._server.reports) > polls + 1, "idle")
        assert len(self._progress()) == told

    def _progress(self) -> list[tuple[str, str]]:
        requests = list(self._server.requests)
        return [request for request in requests if request[1].startswith("deployments/")]


@pytest.fixture(params=STEPS)
def step(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def held(step: str, quick: QuickDevice, server: Simulator, repository: SignedRepository) -> Held:
    return Held(step, quick, server, repository)


def test_a_deployment_that_the_server_closes_at_any_step_ends_on_the_old_release(
    held: Held, server: Simulator
) -> None:
    server.close(held.deployment, DeploymentPhase.REMOVED)
    server.assign(held.old, with_deployment=False)
    held.go_on()
    generation = server.goal.generation
    held.device.wait(lambda: server.reports[-1].generation == generation, "the goal was heard of")
    held.device.wait(lambda: server.reports[-1].phase is None, "nothing in hand")
    held.await_run(held.old)
    assert held.deployment.terminal_reports == []  # it is the server's own end; no other is due
    held.assert_clean()


def test_a_deployment_that_a_newer_goal_overtakes_at_any_step_is_reported_once(
    held: Held, server: Simulator, step: str
) -> None:
    newest = held.sign("newest", counter=7)
    following = server.assign(newest)
    held.go_on()
    held.await_end(following, newest)
    (report,) = held.deployment.terminal_reports
    assert str(report.phase) == PROVEN_BY_THEN.get(step, "superseded")
    assert [str(end.phase) for end in following.terminal_reports] == ["committed"]
    held.assert_clean()


def _shut_window() -> UpdateWindow:
    """Open for a minute, twelve hours from now."""
    opens_at = datetime.now(timezone.utc) + timedelta(hours=12)
    return UpdateWindow(slots=(WindowSlot(starts_at=f"{opens_at:%H:%M}", duration_min=1),))
