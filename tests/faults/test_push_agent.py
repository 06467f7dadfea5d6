"""The push channel and its faults, rows 45 to 50: a bell is quick, its loss costs only time."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from device_agent.status import Status, read_status
from inference_core.contract.device import Broker, CertificateReply, CertificateRequest
from server.broker.configuration import doorbell_topic, presence_topic
from server.trust import device_ca
from tests.agent.certified import LIFE, certify, now
from tests.agent.gateway_simulator import Simulator
from tests.faults.evidence import event_names
from tests.faults.quick import QuickDevice
from tests.push import PushBroker, PushClient, push_broker

pytestmark = pytest.mark.mosquitto

SELDOM_S, OFTEN_S = 600.0, 0.2


class Channel:
    """A broker, the server's own session at it, and one device that is told of it."""

    def __init__(self, broker: PushBroker, server: Simulator, box: QuickDevice) -> None:
        self.broker, self.server, self.box = broker, server, box
        self.server_clock: Callable[[], datetime] = now
        server.certifies = self.certify
        own = device_ca.issue_client(
            device_ca.SERVER_NAME, authority=broker.authority, now=datetime.now(timezone.utc)
        )
        self.ear = PushClient(broker, own, broker.folder).connect()
        self.ear.subscribe(presence_topic("+"))

    def certify(self, request: CertificateRequest) -> CertificateReply:
        assert self.server.public_key is not None
        authority, device_id = self.broker.authority, self.server.device_id
        answer = certify(authority, device_id, self.server.public_key, at=self.server_clock)
        return answer(request)

    def new_goal(self, poll_s: float) -> int:
        """Nothing to run, and a broker; the generation."""
        self.server.poll_s = poll_s
        self.server.assign(None, broker=Broker(host="127.0.0.1", port=self.broker.port))
        return self.server.goal.generation

    def ring(self) -> None:
        self.ear.publish(doorbell_topic(self.server.device_id), "generation")

    @property
    def presences(self) -> list[str]:
        topic = presence_topic(self.server.device_id)
        return [payload.decode() for heard, payload in self.ear.heard if heard == topic]

    @property
    def status(self) -> Status:
        status = read_status(self.box.state)
        return status or Status(at=now(), pid=0, server_url="", serial="")

    def await_goal(self, generation: int) -> None:
        what = f"at generation {generation}"
        self.box.wait(lambda: self.status.goal_generation == generation, what)

    def await_push(self, words: str) -> None:
        self.box.wait(lambda: words in (self.status.push or ""), f"{words!r} in the status")

    def await_presence(self, *words: str) -> None:
        self.box.wait(
            lambda: tuple(self.presences[-len(words) :]) == words, f"{words}: {self.presences}"
        )


@pytest.fixture
def channel(tmp_path: Path, server: Simulator, quick: QuickDevice) -> Iterator[Channel]:
    with push_broker(tmp_path / "broker") as broker:
        channel = Channel(broker, server, quick)
        yield channel
        quick.stop()
        channel.ear.close()


def test_a_bell_brings_the_goal_that_the_next_poll_would_bring_in_ten_minutes(
    channel: Channel,
) -> None:
    channel.new_goal(SELDOM_S)
    channel.box.start()
    channel.await_presence("online")
    channel.await_goal(1)
    generation = channel.new_goal(SELDOM_S)
    channel.ring()
    channel.await_goal(generation)


def test_without_its_broker_a_device_finds_its_goal_by_polling(channel: Channel) -> None:
    channel.new_goal(OFTEN_S)
    channel.box.start()
    channel.await_push("connected")
    channel.broker.kill()
    channel.await_push("away")
    channel.await_goal(channel.new_goal(OFTEN_S))
    assert channel.status.server_problem is None
    channel.broker.start()
    channel.await_push("connected")


def test_presence_tells_a_stop_from_a_power_cut(channel: Channel) -> None:
    channel.new_goal(SELDOM_S)
    channel.box.start()
    channel.await_presence("online")
    channel.box.kill()
    channel.await_presence("online", "offline")
    channel.box.start()
    channel.await_presence("offline", "online")
    assert channel.box.stop() == 0
    channel.await_presence("online", "stopped")


def test_a_storm_of_bells_loses_no_data_and_does_not_make_a_storm_of_polls(
    channel: Channel,
) -> None:
    channel.new_goal(SELDOM_S)
    channel.box.start(bell_spread_s=0.1)
    channel.await_push("connected")
    polls = len(channel.server.reports)
    for _ in range(200):
        channel.ring()
    channel.await_goal(1)
    generation = channel.new_goal(SELDOM_S)
    channel.ring()
    channel.await_goal(generation)
    assert len(channel.server.reports) - polls < 100
    numbers = [record.seq for _, record in channel.server.records]
    assert numbers == list(range(1, len(numbers) + 1))
    assert channel.presences == ["online"]


def test_a_device_that_the_broker_denies_says_so_and_polls_on(channel: Channel) -> None:
    channel.broker.deny(channel.server.device_id)
    channel.new_goal(OFTEN_S)
    channel.box.start()
    channel.await_push("denied the presence: Not authorized")
    channel.box.wait(lambda: "push-denied" in event_names(channel.server), "told to the server")
    assert channel.presences == []
    channel.await_goal(channel.new_goal(OFTEN_S))


def test_a_cloned_box_is_told_of(channel: Channel, tmp_path: Path) -> None:
    channel.new_goal(OFTEN_S)
    channel.box.start()
    channel.await_push("connected")
    (tmp_path / "other").mkdir()
    twin = QuickDevice(tmp_path / "other", channel.server)
    twin.state.mkdir()
    shutil.copytree(channel.box.state / "identity", twin.state / "identity")
    channel.new_goal(OFTEN_S)
    twin.start()
    try:
        channel.box.wait(lambda: "identity-cloned" in event_names(channel.server), "an alarm")
    finally:
        twin.stop()


def test_a_certificate_is_renewed_in_mid_life_and_nobody_sees_the_device_leave(
    channel: Channel,
) -> None:
    channel.server_clock = lambda: now() - LIFE + timedelta(seconds=8)
    channel.new_goal(OFTEN_S)
    channel.box.start()
    channel.box.wait(lambda: len(channel.server.certificate_requests) >= 3, "two renewals")
    channel.await_presence("online", "online", "online")
    assert set(channel.presences) == {"online"}


def test_a_device_that_slept_beyond_its_certificate_gets_another(channel: Channel) -> None:
    channel.server_clock = lambda: now() - LIFE + timedelta(seconds=2)
    channel.new_goal(OFTEN_S)
    channel.box.start()
    kept = channel.box.state / "identity" / "certificate.json"
    channel.box.wait(kept.exists, "in possession of a certificate")
    channel.box.kill()
    channel.server.certifies = None
    ends = now() + timedelta(seconds=2)
    channel.box.wait(lambda: now() > ends, "expired")
    channel.box.start()
    channel.await_push("away")
    channel.await_goal(channel.new_goal(OFTEN_S))
    channel.server_clock = now
    channel.server.certifies = channel.certify
    channel.await_push("connected")


def test_a_device_that_is_given_no_certificate_polls_as_before(channel: Channel) -> None:
    channel.server.certifies = None
    channel.new_goal(OFTEN_S)
    channel.box.start()
    channel.await_push("waiting for a certificate")
    channel.await_goal(channel.new_goal(OFTEN_S))
    assert channel.box.log.count("the broker's certificate: lost") == 1
    assert channel.presences == []
