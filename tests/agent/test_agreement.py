"""A candidate that must say what the release before it says, with both as real processes."""

from __future__ import annotations

import pytest

from inference_core.contract.device import ProbationLimits
from tests.agent.device import PROFILE, Device
from tests.agent.gateway_simulator import Simulator
from tests.agent.signed_repository import SignedRepository
from tests.agent.test_shadow import SEES_SCRATCHES

MUST_AGREE = ProbationLimits(min_frames=5, min_agreement=0.9)


@pytest.fixture
def old(device: Device, server: Simulator, repository: SignedRepository) -> str:
    """The first release: it is asked to agree with nobody, as there is none before it."""
    release = repository.add_release("r1", profile=PROFILE, counter=1)
    server.assign(release, probation=MUST_AGREE)
    assert device.once().returncode == 0
    return release.sha256


def test_a_candidate_that_says_the_same_is_committed(
    device: Device, server: Simulator, repository: SignedRepository, old: str
) -> None:
    release = repository.add_release("r2", profile=PROFILE, counter=2)
    server.assign(release)
    result = device.once()
    assert result.returncode == 0, result.stderr
    assert device.current == release.sha256
    assert list((device.state / "share").iterdir()) == []


def test_a_candidate_that_says_otherwise_is_rolled_back_with_figures(
    device: Device, server: Simulator, repository: SignedRepository, old: str
) -> None:
    release = repository.add_release(
        "r2", profile=PROFILE, counter=2, behaviour=dict(SEES_SCRATCHES)
    )
    deployment = server.assign(release)
    device.once()
    assert device.current == old
    (report,) = deployment.terminal_reports
    assert report.error is not None
    assert report.error.cause == "disagrees"
    assert "agrees with the release before it on 0 of " in report.error.detail


def test_the_old_release_goes_on_judging_after_it_was_asked(
    device: Device, server: Simulator, repository: SignedRepository, old: str
) -> None:
    release = repository.add_release(
        "r2", profile=PROFILE, counter=2, behaviour=dict(SEES_SCRATCHES)
    )
    device.start()
    device.wait(device.children, "running")
    (resident,) = device.children()
    deployment = server.assign(release)
    device.wait(lambda: deployment.terminal_reports, "rolled back")
    device.wait(lambda: device.children() == [resident], "alone again")
    polls = len(server.reports)
    device.wait(lambda: len(server.reports) > polls + 1 and device.running == old, "running")


def test_without_a_word_of_the_old_release_nobody_passes(
    device: Device, server: Simulator, repository: SignedRepository
) -> None:
    """It faults on every frame: what it says is no measure for anybody."""
    broken = repository.add_release("r1", profile=PROFILE, counter=1)
    server.assign(broken)
    assert device.once().returncode == 0
    faulty = repository.add_release("r2", profile=PROFILE, counter=2, behaviour={"nan_from_run": 1})
    server.assign(faulty, probation=ProbationLimits(min_frames=5, max_faults=1000))
    assert device.once().returncode == 0
    deployment = server.assign(
        repository.add_release("r3", profile=PROFILE, counter=3),
        probation=MUST_AGREE.model_copy(update={"max_duration_s": 2.0}),
    )
    device.once()
    (report,) = deployment.terminal_reports
    assert report.error is not None
    assert report.error.cause == "no_frames"
    assert "judged 0 of 5 of them too" in report.error.detail
