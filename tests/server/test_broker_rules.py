"""Who may say and hear what at the broker: tried by what arrives, with real certificates."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from paho.mqtt.reasoncodes import ReasonCode

from server.broker.configuration import doorbell_topic, presence_topic
from server.trust import device_ca
from server.trust.device_ca import SERVER_NAME, Credentials
from tests.push import (
    LIMIT_S,
    PushBroker,
    PushClient,
    device_credentials,
    new_authority,
    push_broker,
    serial_of,
    wait,
)

pytestmark = pytest.mark.mosquitto
Connect = Callable[..., PushClient]
A, B = UUID("0b0f3a52-5c0b-4b3f-8a7e-2f9b5d1c6e01"), UUID("7d3c1f7e-9a54-4c62-b8f0-1f5f3a0c9b11")
CONNECT = b"\x10\x10\x00\x04MQTT\x05\x02\x00\x05\x00\x00\x03abc"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[PushBroker]:
    with push_broker(tmp_path / "broker") as broker:
        yield broker


@pytest.fixture
def connect(broker: PushBroker, tmp_path: Path) -> Iterator[Connect]:
    clients: list[PushClient] = []

    def connect(own: Credentials, will: tuple[str, str] | None = None, **options: object) -> object:
        client = PushClient(broker, own, tmp_path, **options)
        clients.append(client)
        return client.connect(will)

    yield connect  # type: ignore[misc] # the options are paho's
    for client in clients:
        client.close()


@pytest.fixture
def server(broker: PushBroker, connect: Connect) -> PushClient:
    """The server's own client."""
    now = datetime.now(UTC)
    return connect(device_ca.issue_client(SERVER_NAME, authority=broker.authority, now=now))


def device(connect: Connect, broker: PushBroker, device_id: UUID) -> PushClient:
    return connect(device_credentials(broker.authority, device_id))


def is_denied(code: ReasonCode) -> bool:
    return str(code) == "Not authorized"


def test_a_doorbell_reaches_its_device_and_no_other(
    broker: PushBroker, connect: Connect, server: PushClient
) -> None:
    first, second = device(connect, broker, A), device(connect, broker, B)
    for client in (first, second):
        client.subscribe("#")
    assert not is_denied(server.publish(doorbell_topic(A), "generation 3"))
    server.publish(doorbell_topic(B), "generation 7")
    wait(lambda: first.heard and second.heard)
    assert first.heard == [(doorbell_topic(A), b"generation 3")]
    assert second.heard == [(doorbell_topic(B), b"generation 7")]


def test_a_presence_reaches_the_server_and_no_other_device(
    broker: PushBroker, connect: Connect, server: PushClient
) -> None:
    server.subscribe("fleet/v1/+/presence")
    first, second = device(connect, broker, A), device(connect, broker, B)
    second.subscribe(presence_topic(A))
    assert not is_denied(first.publish(presence_topic(A), "online", retain=True))
    second.publish(presence_topic(B), "online")
    wait(lambda: len(server.heard) == 2)
    assert server.heard[0] == (presence_topic(A), b"online")
    # What is sent later arrives later: had the presence been delivered, it would be here first.
    second.subscribe(doorbell_topic(B))
    server.publish(doorbell_topic(B), "generation 1")
    wait(lambda: second.heard)
    assert second.heard == [(doorbell_topic(B), b"generation 1")]


@pytest.mark.parametrize(
    "topic",
    [presence_topic(B), doorbell_topic(A), doorbell_topic(B), "fleet/v1/x", "$SYS/broker/uptime"],
)
def test_a_publish_outside_its_own_presence_is_seen_as_an_error(
    broker: PushBroker, connect: Connect, topic: str
) -> None:
    assert is_denied(device(connect, broker, A).publish(topic, "generation 99"))


def test_the_server_cannot_pretend_to_be_a_device(server: PushClient) -> None:
    assert is_denied(server.publish(presence_topic(A), "online"))


def test_a_last_will_is_held_to_the_same_rules(
    broker: PushBroker, connect: Connect, server: PushClient
) -> None:
    server.subscribe("fleet/v1/+/presence")
    own = device_credentials(broker.authority, A)
    connect(own, will=(presence_topic(B), "offline")).vanish()
    connect(own, will=(presence_topic(A), "offline")).vanish()
    wait(lambda: server.heard)
    assert server.heard == [(presence_topic(A), b"offline")]


def test_a_client_id_cannot_be_taken_with_another_certificate(
    broker: PushBroker, connect: Connect, server: PushClient
) -> None:
    victim = device(connect, broker, A)
    victim.subscribe(doorbell_topic(A))
    thief = connect(device_credentials(broker.authority, B), client_id=str(A))
    thief.subscribe(doorbell_topic(A))
    server.publish(doorbell_topic(A), "generation 1")
    wait(lambda: victim.heard)
    assert victim.disconnected == []
    assert thief.heard == []


def test_of_two_sessions_of_one_device_the_newer_one_stays(
    broker: PushBroker, connect: Connect, server: PushClient
) -> None:
    own = device_credentials(broker.authority, A)
    older = connect(own, client_id="one")
    older._client.reconnect_delay_set(60, 60)
    newer = connect(own, client_id="another")
    wait(lambda: older.disconnected)
    newer.subscribe(doorbell_topic(A))
    server.publish(doorbell_topic(A), "generation 1")
    wait(lambda: newer.heard)


def test_a_certificate_that_has_ended_does_not_enter(broker: PushBroker, connect: Connect) -> None:
    past = datetime.now(UTC) - device_ca.CLIENT_LIFETIME - timedelta(seconds=1)
    with pytest.raises(ConnectionRefusedError):
        connect(device_credentials(broker.authority, A, now=past))
    wait(lambda: "certificate" in broker.log)


def test_a_certificate_of_another_authority_does_not_enter(
    connect: Connect, tmp_path: Path
) -> None:
    with pytest.raises(ConnectionRefusedError):
        connect(device_credentials(new_authority(), A))


def test_nobody_enters_without_a_certificate(broker: PushBroker) -> None:
    assert "certificate" not in broker.log
    with socket.create_connection(("127.0.0.1", broker.port), LIMIT_S) as plain:
        context = ssl.create_default_context(cadata=broker.authority.certificate_pem.decode())
        with (
            contextlib.suppress(OSError),
            context.wrap_socket(plain, server_hostname="127.0.0.1") as line,
        ):
            line.send(CONNECT)
            assert line.recv(1) == b"", "the broker talked to a stranger"
    wait(lambda: "did not return a certificate" in broker.log)


def test_a_live_session_that_is_denied_is_silent_and_does_not_come_back(
    broker: PushBroker, connect: Connect, server: PushClient
) -> None:
    own = device_credentials(broker.authority, A)
    cut_off, good = connect(own), device(connect, broker, B)
    cut_off.subscribe(doorbell_topic(A))
    good.subscribe(doorbell_topic(B))
    server.subscribe("fleet/v1/+/presence")
    broker.deny(A, revoked=[serial_of(own)])
    wait(lambda: is_denied(cut_off.publish(presence_topic(A), "online")), limit_s=5)
    server.heard.clear()
    server.publish(doorbell_topic(A), "generation 1")
    server.publish(doorbell_topic(B), "generation 1")
    good.publish(presence_topic(B), "online")
    wait(lambda: good.heard and server.heard)
    assert cut_off.heard == []
    assert server.heard == [(presence_topic(B), b"online")]
    with pytest.raises(ConnectionRefusedError):
        connect(own)
