"""Row 16, 21 and 26: bytes, counters and profiles that a signature does not make right."""

from __future__ import annotations

import pytest

from tests.agent.device import PROFILE, Device
from tests.agent.gateway_simulator import Deployment, Simulator
from tests.agent.signed_repository import SignedRepository


@pytest.fixture
def running(device: Device, server: Simulator, repository: SignedRepository) -> str:
    """The release that the device runs when somebody offers it another."""
    release = repository.add_release("r5", profile=PROFILE, counter=5)
    server.assign(release)
    assert device.once().returncode == 0
    return release.sha256


def refused(device: Device, deployment: Deployment) -> str:
    """Why the device ended it, having loaded nothing of it."""
    device.once()
    (report,) = deployment.terminal_reports
    assert report.error is not None
    assert "activating" not in deployment.phases
    return str(report.error.cause)


def test_a_corrupt_artifact_is_never_loaded(
    device: Device, server: Simulator, repository: SignedRepository, running: str
) -> None:
    release = repository.add_release("r6", profile=PROFILE, counter=6)
    artifact = repository.artifact_of(release)
    place = repository.target_file(artifact)
    repository.files[place] = repository.files[place][:-1] + b"?"
    assert refused(device, server.assign(release)) == "untrusted"
    assert device.current == running
    assert not (device.state / "blobs/sha256" / artifact.sha256).exists()


def test_an_old_signed_release_is_refused_before_load(
    device: Device, server: Simulator, repository: SignedRepository, running: str
) -> None:
    withdrawn = repository.add_release("r4", profile=PROFILE, counter=4)
    assert refused(device, server.assign(withdrawn)) == "old_counter"
    assert device.current == running


@pytest.mark.parametrize("lie", [{}, {"profile": PROFILE}])
def test_a_release_for_another_profile_is_refused_before_load(
    device: Device,
    server: Simulator,
    repository: SignedRepository,
    running: str,
    lie: dict[str, str],
) -> None:
    """Also where its builder claims that it fits."""
    foreign = repository.add_release("r6", profile="jetson-fake", counter=6, custom=lie)
    assert refused(device, server.assign(foreign)) == "wrong_profile"
    assert device.current == running


def test_a_release_that_a_stranger_signed_is_refused(
    device: Device, server: Simulator, repository: SignedRepository, running: str
) -> None:
    release = repository.add_release("r6", profile=PROFILE, counter=6)
    repository.lose_keys("targets")
    repository.publish()
    assert refused(device, server.assign(release)) == "untrusted"
    assert device.current == running
