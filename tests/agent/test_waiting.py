"""What a deployment waits for: the line's window before, the server after it took over."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from inference_core.contract.device import ProbationLimits
from inference_core.contract.window import UpdateWindow, WindowSlot
from inference_core.contract.words import DeploymentPhase
from tests.agent.device import PROFILE, Device
from tests.agent.gateway_simulator import Simulator
from tests.agent.signed_repository import SignedRepository


def _window(begins_in: timedelta) -> UpdateWindow:
    begins = datetime.now(timezone.utc) + begins_in
    return UpdateWindow(slots=(WindowSlot(starts_at=f"{begins:%H:%M}", duration_min=60),))


def test_a_release_is_staged_and_waits_for_the_lines_window(
    device: Device, server: Simulator, repository: SignedRepository
) -> None:
    old, new = (repository.add_release(f"r{n}", profile=PROFILE, counter=n) for n in (1, 2))
    server.assign(old)
    assert device.once().returncode == 0
    deployment = server.assign(new, window=_window(timedelta(hours=5)))
    device.start()
    device.wait(lambda: "waiting_window" in deployment.phases, "waiting")
    assert deployment.phases == [
        "acknowledged", "downloading", "verified", "staged", "waiting_window",
    ]  # fmt: skip
    device.kill()  # whoever waits for hours will see a power cut
    device.start()
    device.wait(lambda: device.running == old.sha256, "judging parts meanwhile")
    assert device.current == old.sha256

    # Somebody opens the window: the same deployment under a newer goal.
    server.goal = server.goal.model_copy(
        update={"generation": server.goal.generation + 1, "window": None}
    )
    device.wait(lambda: device.current == new.sha256, "activated")
    device.wait(lambda: deployment.terminal_reports, "reported")
    assert deployment.phases[5:] == ["activating", "probation", "committed"]


def test_a_first_release_waits_for_no_window(
    device: Device, server: Simulator, repository: SignedRepository
) -> None:
    release = repository.add_release("r1", profile=PROFILE, counter=1)
    deployment = server.assign(release, window=_window(timedelta(hours=5)))
    assert device.once().returncode == 0
    assert "waiting_window" not in deployment.phases


def test_a_release_that_breaks_the_network_is_rolled_back_by_its_deadline(
    device: Device, server: Simulator, repository: SignedRepository
) -> None:
    old, new = (repository.add_release(f"r{n}", profile=PROFILE, counter=n) for n in (1, 2))
    server.assign(old)
    assert device.once().returncode == 0
    limits = ProbationLimits(min_frames=5, max_offline_s=1.5)
    server.goes_down_in = DeploymentPhase.PROBATION
    deployment = server.assign(new, probation=limits)
    device.start()
    device.wait(lambda: server.is_down, "broken")
    device.wait(lambda: "no_contact" in device.log, "rolled back")
    assert device.current == old.sha256
    server.goes_down_in, server.is_down = None, False
    device.wait(lambda: deployment.terminal_reports, "reported")
    (report,) = deployment.terminal_reports
    assert report.error is not None
    assert (str(report.phase), str(report.error.cause)) == ("rolled_back", "no_contact")
    device.wait(lambda: device.running == old.sha256, "the old one runs")


def test_a_server_that_was_away_before_is_not_waited_for(
    device: Device, server: Simulator, repository: SignedRepository
) -> None:
    server.assign(repository.add_release("r1", profile=PROFILE, counter=1))
    new = repository.add_release("r2", profile=PROFILE, counter=2)
    assert device.once().returncode == 0
    server.goes_down_in = DeploymentPhase.ACTIVATING
    server.assign(new, probation=ProbationLimits(min_frames=50))
    crashed = device.start(crash_at="before:activate")
    assert crashed.wait(40) == -9, device.log
    server.is_down = True
    device.start()
    device.wait(lambda: device.current == new.sha256, "committed without the server")


def test_a_box_keeps_to_its_arm_of_an_experiment_also_under_a_new_name(
    device: Device, server: Simulator, repository: SignedRepository
) -> None:
    server.assign(repository.add_release("r1", profile=PROFILE, counter=1), variant="b")
    assert device.once().returncode == 0
    assert server.reports[-1].variant == "b"
    (device.state / "identity" / "enrolment.json").unlink()
    assert device.once().returncode == 0
    assert server.enrolments[0].variant is None
    assert server.enrolments[-1].variant == "b"
    server.assign(server.goal.release, variant=None)
    assert device.once().returncode == 0
    assert server.reports[-1].variant is None  # the experiment is over
