"""A deployment from goal to report, with the real agent and the real inference child."""

from __future__ import annotations

import pytest

from inference_core.contract.device import ProbationLimits
from inference_core.contract.words import DeploymentPhase
from tests.agent.device import PROFILE, Device
from tests.agent.gateway_simulator import Simulator
from tests.agent.signed_repository import SignedRepository


def test_a_good_release_is_installed_proven_and_committed(
    device: Device, server: Simulator, repository: SignedRepository
) -> None:
    release = repository.add_release("r1", profile=PROFILE, counter=1)
    deployment = server.assign(release)
    result = device.once()
    assert result.returncode == 0, result.stderr
    assert device.current == release.sha256
    assert deployment.phases == [
        "acknowledged",
        "downloading",
        "verified",
        "staged",
        "activating",
        "probation",
        "committed",
    ]
    assert deployment.reports[-1].running_sha256 == release.sha256
