"""A device that loses power again and again in one step parks on the last good release."""

from __future__ import annotations

import pytest

from device_agent.deployment import Step
from inference_core.contract.device import ProbationLimits
from tests.agent.device import PROFILE, Device
from tests.agent.gateway_simulator import Simulator
from tests.agent.signed_repository import SignedRepository


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
