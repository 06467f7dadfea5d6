"""An inference child that dies: the agent lives and starts it again."""

from __future__ import annotations

from tests.agent.device import PROFILE, Device
from tests.agent.gateway_simulator import Simulator
from tests.agent.signed_repository import SignedRepository
from tests.faults.evidence import event_names


def test_a_child_that_dies_is_started_again(
    device: Device, server: Simulator, repository: SignedRepository
) -> None:
    server.assign(repository.add_release("r1", profile=PROFILE, counter=1))
    device.start()
    device.wait(lambda: device.current and device.children(), "running")
    first = device.children()
    device.kill_children()
    device.wait(lambda: device.children() not in ([], first), "running again")
    device.wait(lambda: {"inference-down", "inference-up"} <= event_names(server), "told")


def test_a_signal_stops_the_agent_and_its_child(
    device: Device, server: Simulator, repository: SignedRepository
) -> None:
    server.assign(repository.add_release("r1", profile=PROFILE, counter=1))
    device.start()
    device.wait(lambda: device.current and device.children(), "running")
    assert device.stop() == 0
    assert device.children() == []
