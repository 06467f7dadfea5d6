"""The doorbell at a real Mosquitto, under the project's own configuration."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from device_agent.backoff import Backoff
from device_agent.identity import Identity
from device_agent.push.doorbell import Doorbell
from inference_core.contract.device import Broker, Goal
from server.broker.configuration import doorbell_topic, presence_topic
from server.trust import device_ca
from tests.agent.certified import LIFE, give_certificate, new_identity, now
from tests.agent.device import REPOSITORY
from tests.push import PushBroker, PushClient, new_authority, push_broker, wait

pytestmark = pytest.mark.mosquitto


class Bell:
    """A doorbell, and all that it said."""

    def __init__(self, identity: Identity, broker: PushBroker, host: str = "127.0.0.1") -> None:
        self.identity = identity
        self.goal = Goal(generation=1, broker=Broker(host=host, port=broker.port))
        self.rings: list[float] = []
        self.doubts: list[float] = []
        self.notices: list[tuple[str, str]] = []
        self.doorbell = Doorbell(
            identity,
            ring=lambda: self.rings.append(time.monotonic()),
            doubt=lambda: self.doubts.append(time.monotonic()),
            notice=lambda name, detail, _: self.notices.append((name, detail)),
            backoff=Backoff(base_s=0.05, cap_s=0.2),
            spread_s=0.05,
        )

    @property
    def device_id(self) -> object:
        assert self.identity.enrolment is not None
        return self.identity.enrolment.device_id

    def start(self) -> Bell:
        self.doorbell.turn(self.goal)
        return self

    def await_state(self, beginning: str) -> None:
        wait(lambda: (self.doorbell.state or "").startswith(beginning))


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[PushBroker]:
    with push_broker(tmp_path / "broker") as broker:
        yield broker


@pytest.fixture
def bells(tmp_path: Path, broker: PushBroker) -> Iterator[Callable[..., Bell]]:
    made: list[Bell] = []

    def make(identity: Identity | None = None, **options: str) -> Bell:
        if identity is None:
            identity = new_identity(tmp_path / f"box-{len(made)}")
            give_certificate(identity, broker.authority)
        made.append(Bell(identity, broker, **options))
        return made[-1]

    yield make
    for bell in made:
        bell.doorbell.close()


@pytest.fixture
def server_side(broker: PushBroker, tmp_path: Path) -> Iterator[PushClient]:
    """Whoever rings, and hears presences."""
    own = device_ca.issue_client(
        device_ca.SERVER_NAME, authority=broker.authority, now=datetime.now(timezone.utc)
    )
    client = PushClient(broker, own, tmp_path).connect()
    client.subscribe(presence_topic("+"))
    yield client
    client.close()


def test_a_bell_is_a_ring_whatever_it_says(
    bells: Callable[..., Bell], server_side: PushClient
) -> None:
    bell = bells().start()
    bell.await_state("connected")
    for payload in ("generation 7", "", "\x00" * 3000, '{"generation": "../../etc"}'):
        before = len(bell.rings)
        server_side.publish(doorbell_topic(bell.device_id), payload)
        wait(lambda before=before: len(bell.rings) > before)
    assert bell.notices == []


def test_a_storm_of_bells_is_one_ring_a_second(
    bells: Callable[..., Bell], server_side: PushClient
) -> None:
    bell = bells().start()
    bell.await_state("connected")
    while len(bell.rings) < 3:
        server_side.publish(doorbell_topic(bell.device_id), "now")
    first, second, third = bell.rings[:3]
    assert second - first >= 1
    assert third - second >= 1


def test_a_device_is_online_until_it_says_that_it_stopped(
    bells: Callable[..., Bell], server_side: PushClient
) -> None:
    bell = bells().start()
    topic = presence_topic(bell.device_id)
    wait(lambda: (topic, b"online") in server_side.heard)
    bell.doorbell.close()
    wait(lambda: server_side.heard[-1] == (topic, b"stopped"))
    assert (topic, b"offline") not in server_side.heard


def test_it_comes_back_to_a_broker_that_was_killed(
    bells: Callable[..., Bell], broker: PushBroker
) -> None:
    bell = bells().start()
    bell.await_state("connected")
    broker.kill()
    bell.await_state("away")
    broker.start()
    bell.await_state("connected")
    assert bell.notices == []


def test_a_broker_that_never_was_there_is_away_and_why(
    bells: Callable[..., Bell], broker: PushBroker
) -> None:
    broker.kill()
    bell = bells().start()
    bell.await_state("away: 127.0.0.1")
    assert "refused" in (bell.doorbell.state or "")


def test_what_the_broker_denies_is_seen_and_told_once(
    bells: Callable[..., Bell], broker: PushBroker
) -> None:
    bell = bells()
    broker.deny(bell.device_id)
    bell.start()
    wait(lambda: bell.notices)
    assert bell.notices[0][0] == "push-denied"
    assert "Not authorized" in bell.notices[0][1]
    wait(lambda: "denied the presence" in (bell.doorbell.state or ""))
    broker.kill()
    bell.await_state("away")
    broker.start()
    bell.await_state("connected")
    assert len(bell.notices) == 1


def test_a_broker_of_another_authority_is_not_believed(
    bells: Callable[..., Bell], tmp_path: Path
) -> None:
    identity = new_identity(tmp_path / "stranger")
    give_certificate(identity, new_authority())
    bell = bells(identity).start()
    bell.await_state("away")
    assert "certificate verify failed" in (bell.doorbell.state or "")
    wait(lambda: bell.doubts)


def test_a_broker_under_another_name_is_not_believed(bells: Callable[..., Bell]) -> None:
    bell = bells(host="localhost").start()
    bell.await_state("away")
    assert "Hostname mismatch" in (bell.doorbell.state or "")


def test_an_expired_certificate_is_refused_and_the_next_one_is_taken(
    bells: Callable[..., Bell], broker: PushBroker, tmp_path: Path
) -> None:
    identity = new_identity(tmp_path / "late")
    give_certificate(identity, broker.authority, at=lambda: now() - LIFE - timedelta(minutes=1))
    bell = bells(identity).start()
    bell.await_state("away")
    wait(lambda: bell.doubts)
    give_certificate(identity, broker.authority)
    bell.await_state("connected")


def test_a_renewed_certificate_is_shown_without_saying_goodbye(
    bells: Callable[..., Bell], broker: PushBroker, server_side: PushClient
) -> None:
    bell = bells().start()
    topic = presence_topic(bell.device_id)
    wait(lambda: server_side.heard == [(topic, b"online")])
    give_certificate(bell.identity, broker.authority)
    wait(lambda: len(server_side.heard) > 1)
    assert server_side.heard == [(topic, b"online")] * 2


def test_a_goal_without_broker_ends_the_session(
    bells: Callable[..., Bell], server_side: PushClient
) -> None:
    bell = bells().start()
    bell.await_state("connected")
    bell.doorbell.turn(Goal(generation=2))
    wait(lambda: bell.doorbell.state is None)
    wait(lambda: server_side.heard[-1] == (presence_topic(bell.device_id), b"stopped"))
    bell.start()
    bell.await_state("connected")


@pytest.mark.parametrize(
    "answer",
    [
        b"\x20\x06\x00\x00\x03\x11\x00\x00",  # accepted, with a property that is cut off
        b"\x20\x06\x00\x00\x03\xee\x00\x00",  # an unknown property
        b"\xf0\xff\xff\xff\xff\xff",
    ],
)
def test_a_broker_that_talks_nonsense_ends_no_thread(
    bells: Callable[..., Bell], broker: PushBroker, tmp_path: Path, answer: bytes
) -> None:
    bell = bells()
    broker.kill()
    own = device_ca.issue_broker(["127.0.0.1"], authority=broker.authority, now=now())
    (tmp_path / "own.pem").write_bytes(own.certificate + own.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "own.pem")
    with socket.create_server(("127.0.0.1", broker.port)) as listener:
        listener.settimeout(20)
        bell.start()
        for _ in range(2):  # it comes again
            with context.wrap_socket(listener.accept()[0], server_side=True) as session:
                assert session.recv(1)
                session.sendall(answer)
                bell.await_state("away")
    broker.start()
    bell.await_state("connected")


def test_without_a_certificate_it_waits(bells: Callable[..., Bell], tmp_path: Path) -> None:
    identity = new_identity(tmp_path / "new")
    bell = bells(identity).start()
    bell.await_state("waiting for a certificate")


def test_two_boxes_with_one_identity_are_told_as_an_event(bells: Callable[..., Bell]) -> None:
    bell = bells().start()
    bell.await_state("connected")
    twin = bells(bell.identity).start()
    wait(lambda: bell.notices or twin.notices)
    assert {name for name, _ in bell.notices + twin.notices} == {"identity-cloned"}


def test_the_agent_is_complete_without_paho(tmp_path: Path) -> None:
    """Paho is hidden from a process of its own."""
    script = f"""
import sys, time, pathlib
sys.modules["paho"] = None
from device_agent.backoff import Backoff
from device_agent.push.doorbell import Doorbell
from device_agent.identity import Identity
from inference_core.contract.device import Broker, Goal
doorbell = Doorbell(Identity(pathlib.Path({str(tmp_path)!r})), ring=print, doubt=print,
    notice=print, backoff=Backoff(), spread_s=0)
doorbell.turn(Goal(generation=1, broker=Broker(host="127.0.0.1")))
ends_at = time.monotonic() + 20
while not doorbell.state and time.monotonic() < ends_at: time.sleep(0.01)
doorbell.close()
print(doorbell.state)
"""
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert result.stdout.startswith("away: this device lacks a package")
