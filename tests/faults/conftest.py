"""The device, server and repository that the tests of the agent stand on, and a quicker device."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.fixtures import device, repository, server
from tests.agent.gateway_simulator import Simulator
from tests.faults.quick import QuickDevice
from tests.faults.small_disk import SmallDisk, may_mount

__all__ = ["device", "quick", "repository", "server", "small_disk"]


@pytest.fixture
def quick(tmp_path: Path, server: Simulator) -> Iterator[QuickDevice]:
    """For faults that are not about the inference child."""
    device = QuickDevice(tmp_path, server)
    yield device
    device.stop()


@pytest.fixture
def small_disk(quick: QuickDevice) -> Iterator[SmallDisk]:
    """A file system of 16 MiB under the data folder of ``quick``."""
    quick.state.mkdir()
    if not may_mount(quick.state):
        pytest.skip("needs root, and a kernel that lets root mount a small file system")
    with SmallDisk(quick.state, size_mib=16) as disk:
        yield disk
        quick.stop()
