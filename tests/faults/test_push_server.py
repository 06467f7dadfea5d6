"""Rows 45 to 49, the server's side: the broker dies, refuses, and shuts out, for real.

The keeper is the product's own, beside a real Mosquitto that runs from the folder it writes.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.core.cache import cache
from django.db import connection
from pytest_django import Settings

from inference_core.contract.device import CertificateReply
from server.broker.configuration import doorbell_topic, presence_topic
from server.broker.folder import broker_folder
from server.broker.keeper import keep_broker
from server.broker.models import Doorbell
from server.fleet import presence as presences
from server.fleet.models import Device
from server.fleet.selectors import PresenceWord, presence, with_presence
from server.fleet.services import (
    configure_device,
    create_line,
    create_site,
    quarantine_device,
    release_device,
    revoke_device,
    seed_profiles,
)
from server.lib import clock
from server.lib.errors import NotFound
from server.lib.models import OutboxMessage
from server.trust.certificates import authority
from server.trust.device_ca import Credentials
from tests.push import PushBroker, PushClient, csr_of, device_credentials, private_pem, wait
from tests.server.box import Box, make_box
from tests.server.rollouts.plant import Plant, tick
from tests.servers import free_port

pytestmark = [pytest.mark.mosquitto, pytest.mark.django_db(transaction=True)]
Connect = Callable[[Credentials], PushClient]


@pytest.fixture
def port(settings: Settings, tmp_path: Path) -> Iterator[int]:
    """A server whose broker is to be on this port, and is not there yet."""
    port = free_port()
    changes = {
        "broker_host": "127.0.0.1",
        "broker_port": port,
        "broker_folder": tmp_path / "broker",
    }
    settings.ENV = settings.ENV.model_copy(update=changes)
    settings.PRESENCE_FLUSHES_ITSELF = False
    cache.clear()
    yield port
    presences._seen.clear()


@contextlib.contextmanager
def keeping() -> Iterator[None]:
    """The keeper at work; ends as a process does on SIGTERM."""
    stopped = threading.Event()

    def work() -> None:
        try:
            keep_broker(stopped)
        finally:
            connection.close()

    keeper = threading.Thread(target=work)
    keeper.start()
    try:
        yield
    finally:
        stopped.set()
        keeper.join(20)
        assert not keeper.is_alive()


@pytest.fixture
def broker(port: int) -> Iterator[PushBroker]:
    """Mosquitto beside its keeper, from the folder that the keeper wrote."""
    with keeping():
        broker = PushBroker(broker_folder(), authority(), port)
        wait((broker_folder() / "mosquitto.conf").exists)
        broker.start()
        try:
            wait(lambda: "linewarden-server" in broker.log)
            yield broker
        finally:
            broker.kill()


@pytest.fixture
def connect(broker: PushBroker, tmp_path: Path) -> Iterator[Connect]:
    clients: list[PushClient] = []

    def connect(own: Credentials) -> PushClient:
        clients.append(PushClient(broker, own, tmp_path))
        return clients[-1].connect()

    yield connect
    for client in clients:
        client.close()


@pytest.fixture
def box(port: int) -> Box:
    seed_profiles()
    site = create_site(name="works", title="Works", actor="test")
    return make_box(create_line(site=site, name="front", title="Front", actor="test"))


def certificate_of(box: Box) -> Credentials:
    answer = box.post("certificate", {"csr": csr_of(box.key)})
    assert answer.status_code == 200, answer.content
    reply = CertificateReply.model_validate_json(answer.content)
    return Credentials(reply.certificate.encode(), private_pem(box.key))


def change_goal(box: Box) -> None:
    configure_device(device=box.device, sample_every_s=5.0, actor="test")


def test_a_step_of_a_rollout_rings_its_devices(broker: PushBroker, connect: Connect) -> None:
    plant = Plant()
    first = plant.enrol("box-1")
    client = connect(device_credentials(broker.authority, first.pk))
    client.subscribe(doorbell_topic(first.pk))
    tick(plant.plan(plant.release("boards-1")))
    wait(lambda: client.heard)
    assert client.heard == [(doorbell_topic(first.pk), b"generation 1")]
    wait(lambda: not Doorbell.objects.exists())


def test_a_live_session_that_is_revoked_is_silent_within_5_s_and_stays_out(
    box: Box, broker: PushBroker, connect: Connect
) -> None:
    own = certificate_of(box)
    client = connect(own)
    assert not client.publish(presence_topic(box.device_id), "online").is_failure
    revoke_device(device=box.device, actor="test", reason="stolen")
    topic = presence_topic(box.device_id)
    wait(lambda: client.publish(topic, "online").is_failure, limit_s=5)
    assert client.disconnected == []
    with pytest.raises(ConnectionRefusedError):
        connect(own)


def test_a_device_that_is_released_enters_with_the_certificate_it_has(
    box: Box, broker: PushBroker, connect: Connect
) -> None:
    own, topic = certificate_of(box), presence_topic(box.device_id)
    client = connect(own)
    quarantine_device(device=box.device, actor="test", reason="strange")
    wait(lambda: client.publish(topic, "online").is_failure)
    release_device(device=box.device, actor="test")
    wait(lambda: not client.publish(topic, "online").is_failure)
    client.close()
    assert not connect(own).publish(topic, "online").is_failure


def test_the_server_serves_and_forgets_doorbells_while_the_broker_is_dead(
    box: Box, broker: PushBroker, caplog: pytest.LogCaptureFixture, settings: Settings
) -> None:
    settings.ENV = settings.ENV.model_copy(update={"poll_s": 0.5})
    with caplog.at_level(logging.WARNING, "server.broker"):
        broker.kill()
        wait(lambda: "is away" in caplog.text)
        before = box.poll()["ETag"]
        change_goal(box)
        assert box.poll()["ETag"] != before
        assert not OutboxMessage.objects.exists()
        wait(lambda: not Doorbell.objects.exists())
        change_goal(box)
        wait(lambda: not Doorbell.objects.exists())
    assert caplog.text.count("is away") == 1
    assert caplog.text.count("doorbells are dropped") == 1


def test_a_broker_that_comes_back_rings_again(
    box: Box, broker: PushBroker, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "server.broker"):
        broker.kill()
        wait(lambda: "is away" in caplog.text)
        broker.start()
        wait(lambda: "is back" in caplog.text)
    client = connect(certificate_of(box))
    client.subscribe(doorbell_topic(box.device_id))
    change_goal(box)
    wait(lambda: client.heard)


def test_a_broker_that_refuses_doorbells_is_told_of_once(
    box: Box, broker: PushBroker, caplog: pytest.LogCaptureFixture
) -> None:
    rules = broker.folder / "acl"
    rules.write_text("pattern read fleet/v1/%u/doorbell\n")
    broker.look_again()
    with caplog.at_level(logging.ERROR, "server.broker"):
        for _ in range(20):
            change_goal(box)
            wait(lambda: not Doorbell.objects.exists())
            if "refuses" in caplog.text:
                break
        wait(lambda: "refuses doorbells: Not authorized" in caplog.text)
        change_goal(box)
        wait(lambda: not Doorbell.objects.exists())
    assert caplog.text.count("refuses") == 1


def is_word(device: Device, word: PresenceWord) -> bool:
    """Whether this is the device's presence, as its row says it and as the database finds it."""
    now = clock.now()
    row = Device.objects.select_related("presence").get(pk=device.pk)
    found = [w for w in PresenceWord if with_presence(Device.objects, w, now).filter(pk=row.pk)]
    return [presence(row, now), *found] == [word, word]


def test_a_device_that_leaves_the_broker_is_offline_at_once_until_it_is_heard_of_again(
    box: Box, broker: PushBroker, connect: Connect
) -> None:
    box.poll()
    own, topic = certificate_of(box), presence_topic(box.device_id)
    client = connect(own)
    client.publish(topic, "offline", retain=True)
    wait(lambda: is_word(box.device, PresenceWord.OFFLINE))
    client.publish(topic, "online", retain=True)
    wait(lambda: is_word(box.device, PresenceWord.ONLINE))
    client.publish(topic, "stopped", retain=True)
    wait(lambda: is_word(box.device, PresenceWord.OFFLINE))
    box.poll(box.report(generation=1))
    assert is_word(box.device, PresenceWord.ONLINE)


def test_what_was_said_while_nobody_listened_is_left_to_polls(
    box: Box, port: int, tmp_path: Path
) -> None:
    with keeping():
        broker = PushBroker(broker_folder(), authority(), port)
        wait((broker_folder() / "mosquitto.conf").exists)
    broker.start()
    try:
        client = PushClient(broker, certificate_of(box), tmp_path).connect()
        client.publish(presence_topic(box.device_id), "offline", retain=True)
        box.poll()
        with keeping():
            wait(lambda: "linewarden-server" in broker.log)
            client.publish(presence_topic(box.device_id), "nonsense")
            client.subscribe(doorbell_topic(box.device_id))
            change_goal(box)
            wait(lambda: client.heard)
            assert is_word(box.device, PresenceWord.ONLINE)
        client.close()
    finally:
        broker.kill()


def test_who_was_revoked_while_the_keeper_was_dead_is_silenced_when_it_is_back(
    box: Box, port: int, tmp_path: Path
) -> None:
    with keeping():
        broker = PushBroker(broker_folder(), authority(), port)
        wait((broker_folder() / "mosquitto.conf").exists)
    broker.start()
    try:
        client = PushClient(broker, certificate_of(box), tmp_path).connect()
        topic = presence_topic(box.device_id)
        revoke_device(device=box.device, actor="test", reason="stolen")
        assert not client.publish(topic, "online").is_failure
        with keeping():
            wait(lambda: client.publish(topic, "online").is_failure, limit_s=5)
        client.close()
    finally:
        broker.kill()


def test_a_keeper_without_a_broker_says_what_to_set() -> None:
    with pytest.raises(NotFound, match="LINEWARDEN_BROKER_HOST"):
        keep_broker(threading.Event())
