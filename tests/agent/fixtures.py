"""A device, a server and a signed repository, all real, on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.device import PROFILE, Device
from tests.agent.gateway_simulator import Simulator
from tests.agent.signed_repository import SignedRepository

__all__ = ["device", "repository", "server"]


@pytest.fixture
def repository() -> SignedRepository:
    repository = SignedRepository()
    repository.publish()
    return repository


@pytest.fixture
def server(repository: SignedRepository) -> Iterator[Simulator]:
    with Simulator(repository, PROFILE) as simulator:
        yield simulator


@pytest.fixture
def device(tmp_path: Path, server: Simulator) -> Iterator[Device]:
    device = Device(tmp_path, server)
    yield device
    device.stop()
