"""What the box says of itself: told at every start, and when it has changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from device_agent.config import Config
from device_agent.errors import Unavailable
from device_agent.facts import FactsErrand
from device_agent.gateway import Gateway
from device_agent.identity import Identity
from inference_core.contract.device import DeviceFacts, Goal
from tests.agent.certified import enrol_as
from tests.agent.gateway_simulator import Answer, Simulator

FACTS = DeviceFacts(architecture="aarch64", system="linux", cpu_count=6, memory_bytes=8 << 30)
GOAL = Goal(generation=1)


class Box:
    """An enrolled device whose facts the test decides."""

    def __init__(self, folder: Path, server: Simulator) -> None:
        identity = enrol_as(Identity(folder / "identity"), server.device_id)
        server.public_key = identity.public_key
        config = Config(server_url=server.url, data_dir=folder, serial="box-1")
        self.facts, self.notices = FACTS, []
        self.errand = FactsErrand(
            Gateway(config, identity),
            lambda name, detail, _: self.notices.append((name, detail)),
            lambda: self.facts,
        )


@pytest.fixture
def box(tmp_path: Path, server: Simulator) -> Box:
    return Box(tmp_path, server)


def test_facts_are_told_once_and_again_when_they_change(box: Box, server: Simulator) -> None:
    box.errand.turn(GOAL)
    box.errand.turn(GOAL)
    assert server.facts == [FACTS]
    box.facts = FACTS.model_copy(update={"software": {"l4t": "39.2.0"}})
    box.errand.turn(GOAL)
    assert server.facts == [FACTS, box.facts]


def test_a_profile_that_no_longer_fits_is_told_of_once(box: Box, server: Simulator) -> None:
    server.misfit = "needs TensorRT 10.3, the device has 10.16.1"
    box.errand.turn(GOAL)
    box.facts = FACTS.model_copy(update={"kernel": "6.8"})
    box.errand.turn(GOAL)
    assert [name for name, _ in box.notices] == ["profile-misfit"]
    assert server.misfit in box.notices[0][1]


def test_an_older_server_that_takes_no_facts_is_not_asked_again(
    box: Box, server: Simulator
) -> None:
    server.interferes = lambda path, answer: Answer(404, b"{}") if path == "facts" else answer
    box.errand.turn(GOAL)
    box.errand.turn(GOAL)
    assert [path for _, path in server.requests].count("facts") == 1


def test_facts_wait_while_the_device_is_not_let_in(box: Box, server: Simulator) -> None:
    server.interferes = lambda path, answer: Answer(403, b"{}") if path == "facts" else answer
    with pytest.raises(Unavailable):
        box.errand.turn(GOAL)
    server.interferes = lambda _path, answer: answer
    box.errand.turn(GOAL)
    assert server.facts[-1] == FACTS
