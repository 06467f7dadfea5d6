"""The server's one session at the broker: rings doorbells, hears presences. No row is touched."""

from __future__ import annotations

import logging
import ssl
import threading
from pathlib import Path
from uuid import UUID

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from server.broker.configuration import doorbell_topic, presence_topic, write_private
from server.trust.device_ca import Authority, Credentials

ONLINE, GONE = b"online", frozenset({b"stopped", b"offline"})
KEEPALIVE_S = 20
MAX_WAITING = 10_000
_RETRY_S = (1, 15)
logger = logging.getLogger(__name__)


class Connection:
    """Connects by itself, again and again. ``is_up``: a doorbell rung now is likely to arrive."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext) -> None:
        self._lock = threading.Lock()
        self._presences: dict[UUID, bool] = {}
        self._was_up: bool | None = None
        self._is_refused = False
        self._client = Client(
            CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5, client_id=""
        )
        self._client.tls_set_context(context)
        self._client.reconnect_delay_set(*_RETRY_S)
        self._client.max_queued_messages_set(MAX_WAITING)
        self._client.on_connect = self._note_connected
        self._client.on_connect_fail = self._note_failed
        self._client.on_disconnect = self._note_lost
        self._client.on_message = self._note_presence
        self._client.on_publish = self._note_answer
        self._address = f"{host}:{port}"
        self._client.connect_async(host, port, KEEPALIVE_S)

    def start(self) -> None:
        """Begin to connect, in a thread of its own."""
        self._client.loop_start()

    def stop(self) -> None:
        """Say goodbye and end the thread."""
        self._client.disconnect()
        self._client.loop_stop()

    @property
    def is_up(self) -> bool:
        """Whether the broker has let the server in, and is there as far as is known."""
        return self._was_up is True and self._client.is_connected()

    def ring(self, device_id: UUID, generation: int, *, expiry_s: int) -> None:
        """Publish a doorbell, unless too many wait already. The answer is looked at later."""
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call] # paho's
        properties.MessageExpiryInterval = expiry_s
        self._client.publish(
            doorbell_topic(device_id), f"generation {generation}", qos=1, properties=properties
        )

    def take_presences(self) -> dict[UUID, bool]:
        """Who came (True) or left (False) since the last call."""
        with self._lock:
            taken, self._presences = self._presences, {}
        return taken

    def give_back(self, presences: dict[UUID, bool]) -> None:
        """Have them taken again; what was heard meanwhile is newer."""
        with self._lock:
            self._presences = presences | self._presences

    def _note_connected(
        self, client: Client, _: object, __: ConnectFlags, code: ReasonCode, ___: object
    ) -> None:
        if code.is_failure:
            self._tell_edge(is_up=False, why=str(code))
            return
        # What is retained was said while nobody listened, maybe long ago: polls tell the rest.
        options = SubscribeOptions(qos=1, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND)
        client.subscribe(presence_topic("+"), options=options)
        self._tell_edge(is_up=True)

    def _note_failed(self, _: Client, __: object) -> None:
        self._tell_edge(is_up=False, why="no connection")

    def _note_lost(
        self, _: Client, __: object, ___: DisconnectFlags, code: ReasonCode, ____: object
    ) -> None:
        self._tell_edge(is_up=False, why=str(code))

    def _note_presence(self, _: Client, __: object, message: MQTTMessage) -> None:
        device, word = device_of(message.topic), message.payload
        if device is not None and (word == ONLINE or word in GONE):
            with self._lock:
                self._presences[device] = word == ONLINE

    def _note_answer(self, _: Client, __: object, ___: int, code: ReasonCode, ____: object) -> None:
        if code.is_failure and not self._is_refused:
            logger.error("the broker at %s refuses doorbells: %s", self._address, code)
        self._is_refused = code.is_failure

    def _tell_edge(self, *, is_up: bool, why: str = "") -> None:
        if is_up and self._was_up is False:
            logger.warning("the broker at %s is back", self._address)
        if not is_up and self._was_up is not False:
            logger.warning("the broker at %s is away; devices poll: %s", self._address, why)
        self._was_up = is_up


def device_of(topic: str) -> UUID | None:
    """The device that a presence is of; None for any other topic."""
    try:
        device = UUID(topic.split("/")[2])
    except (IndexError, ValueError):
        return None
    return device if topic == presence_topic(device) else None


def make_context(authority: Authority) -> ssl.SSLContext:
    """TLS that trusts our authority alone."""
    return ssl.create_default_context(cadata=authority.certificate_pem.decode())


def show(context: ssl.SSLContext, own: Credentials, path: Path) -> None:
    """Show ``own`` to brokers from the next connection on. OpenSSL reads it from a file only."""
    write_private(path, own.certificate + own.key)
    try:
        context.load_cert_chain(path)
    finally:
        path.unlink()
