"""SIGKILL at every moment of a deployment: exactly the old or the new release, one last word."""

from __future__ import annotations

import pytest

from device_agent.deployment import FORWARD, Step
from inference_core.contract.device import ProbationLimits
from tests.agent.device import PROFILE, Device
from tests.agent.gateway_simulator import Simulator
from tests.agent.signed_repository import SignedRepository

MOMENTS = [f"{when}:{step}" for step in FORWARD for when in ("before", "after")]


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_power_cut_while_updating_ends_with_the_new_release_and_one_report(
    device: Device, server: Simulator, repository: SignedRepository, moment: str
) -> None:
    old = repository.add_release("old", profile=PROFILE, counter=1)
    server.assign(old)
    assert device.once().returncode == 0
    new = repository.add_release("new", profile=PROFILE, counter=2)
    deployment = server.assign(new)

    crashed = device.start(crash_at=moment)
    assert crashed.wait(40) == -9, device.log
    assert device.current in (old.sha256, new.sha256)

    device.start()
    device.wait(lambda: deployment.terminal_reports, "ended")
    device.wait(lambda: device.running == new.sha256, "running the new one")
    assert [str(report.phase) for report in deployment.terminal_reports] == ["committed"]
    assert device.current == new.sha256
    assert device.linked("previous") == old.sha256
    device.wait(lambda: len(device.children()) == 1, "one child")


@pytest.mark.parametrize("moment", ["before:roll_back", "after:roll_back"])
def test_a_power_cut_while_rolling_back_ends_with_the_old_release_and_one_report(
    device: Device, server: Simulator, repository: SignedRepository, moment: str
) -> None:
    old = repository.add_release("old", profile=PROFILE, counter=1)
    server.assign(old)
    assert device.once().returncode == 0
    bad = repository.add_release("bad", profile=PROFILE, counter=2, behaviour={"nan_from_run": 0})
    deployment = server.assign(bad)

    crashed = device.start(crash_at=moment)
    assert crashed.wait(40) == -9, device.log
    device.start()
    device.wait(lambda: deployment.terminal_reports, "ended")
    device.wait(lambda: device.running == old.sha256, "running the old one")
    (report,) = deployment.terminal_reports
    assert (str(report.phase), report.error and str(report.error.cause)) == (
        "rolled_back",
        "not_finite",
    )
    assert device.current == old.sha256


@pytest.mark.parametrize("step", [Step.ACTIVATE, Step.PROBE, Step.ROLL_BACK])
def test_a_crash_loop_is_bounded_and_parks_on_the_last_good_release(
    device: Device, server: Simulator, repository: SignedRepository, step: Step
) -> None:
    old = repository.add_release("old", profile=PROFILE, counter=1)
    server.assign(old)
    assert device.once().returncode == 0
    behaviour = {"nan_from_run": 0} if step is Step.ROLL_BACK else {}
    release = repository.add_release("new", profile=PROFILE, counter=2, behaviour=behaviour)
    limits = ProbationLimits(min_frames=1 if step is Step.ROLL_BACK else 10_000)
    deployment = server.assign(release, probation=limits)
    for _ in range(4):
        assert device.start(crash_at=f"before:{step}").wait(40) == -9, device.log
    device.start(crash_at=f"before:{step}")  # the fifth start does not come to this step again
    device.wait(lambda: deployment.terminal_reports, "ended")
    (report,) = deployment.terminal_reports
    assert report.error is not None
    cause = "not_finite" if step is Step.ROLL_BACK else "interrupted"
    assert (str(report.phase), str(report.error.cause)) == ("rolled_back", cause)
    device.wait(lambda: device.running == old.sha256, "running the old one")
