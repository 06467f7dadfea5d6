"""Which processes run beside each other on a device that has memory for few."""

from __future__ import annotations

from device_agent.config import load_config
from device_agent.journal import Journal
from device_agent.store import Store
from device_agent.supervisor import Supervisor
from tests.agent.device import PROFILE, Device
from tests.agent.gateway_simulator import Simulator
from tests.agent.signed_repository import SignedRepository


def test_a_candidate_that_is_being_committed_is_not_started_a_second_time(
    device: Device, server: Simulator, repository: SignedRepository
) -> None:
    release = repository.add_release("r1", profile=PROFILE, counter=1)
    server.assign(release)
    assert device.once().returncode == 0
    store = Store(device.state)
    store.restore(None)  # as before the first commit
    supervisor = Supervisor(
        load_config(device.settings(), {}),
        store,
        Journal.open(device.state / "journal.sqlite"),
        on_event=lambda sha256, event: None,
        notice=lambda name, detail, sha256: None,
    )
    try:
        supervisor.start_candidate(store.open(release.sha256))
        (candidate,) = device.children()
        store.switch(release.sha256, None)
        supervisor.tick()  # between the two halves of a commit: it comes from another thread
        assert device.children() == [candidate]
        supervisor.adopt_candidate()
        supervisor.tick()
        assert device.children() == [candidate]
    finally:
        supervisor.close()
    assert device.children() == []
