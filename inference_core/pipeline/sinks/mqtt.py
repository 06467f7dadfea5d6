"""Results to an MQTT 5 broker, each acknowledged (QoS 1)."""

from __future__ import annotations

import ssl
import threading
from typing import Any

from paho.mqtt.client import Client, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode

from inference_core.errors import BadInput
from inference_core.pipeline.sinks.address import Address
from inference_core.pipeline.sinks.base import Link, Parcel, Refused, Traits, Unreachable

_TIMEOUT_S = 5.0
_KEEPALIVE_S = 30
_PORTS = {"mqtt": 1883, "mqtts": 8883}


def open_link(address: Address) -> Link:
    """``mqtt[s]://[user@]host[:port]/topic?ca=…&cert=…&key=…&secret=…``."""
    address.expect("ca", "cert", "key")
    topic = address.path.removeprefix("/")
    if not address.host or not topic or any(sign in topic for sign in "+#\0"):
        raise BadInput(f"{address.shown}: write mqtt://host/topic, and no + or # in the topic")
    return _Broker(address, topic)


class _Broker:
    """One connection; a new client for each, so that nothing of a lost one lingers."""

    traits = Traits()

    def __init__(self, address: Address, topic: str) -> None:
        self._address, self._topic = address, topic
        self._secret = address.read_secret()
        self._tls = _make_context(address) if address.scheme == "mqtts" else None
        self._client: Client | None = None
        self._answers: dict[int, ReasonCode] = {}

    def deliver(self, parcel: Parcel) -> None:
        """Returns with the broker's acknowledgement."""
        client = self._client or self._connect()
        info = client.publish(self._topic, parcel.result.to_json(), qos=1)
        try:
            info.wait_for_publish(_TIMEOUT_S)
        except (RuntimeError, ValueError) as error:
            self.close()
            raise Unreachable(str(error)) from error
        self._check(info)

    def _check(self, info: MQTTMessageInfo) -> None:
        if not info.is_published():
            self.close()
            raise Unreachable("the broker does not acknowledge")
        answer = self._answers.pop(info.mid, None)
        if answer is not None and answer.is_failure:
            raise Refused(f"the broker answers {answer}")

    def _connect(self) -> Client:
        client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        if self._address.user is not None:
            client.username_pw_set(self._address.user, self._secret)
        if self._tls is not None:
            client.tls_set_context(self._tls)
        client.connect_timeout = _TIMEOUT_S
        greeted = threading.Event()
        greetings: list[ReasonCode] = []
        self._listen(client, greeted, greetings)
        try:
            client.connect(self._address.host, self._port, keepalive=_KEEPALIVE_S)
        except OSError as error:
            raise Unreachable(f"{type(error).__name__}: {error}") from error
        client.loop_start()
        self._client = client
        greeted.wait(_TIMEOUT_S)
        if not greetings or greetings[0].is_failure:
            self.close()
            raise Unreachable(f"the broker answers {greetings[0] if greetings else 'nothing'}")
        return client

    def _listen(
        self, client: Client, greeted: threading.Event, greetings: list[ReasonCode]
    ) -> None:
        def on_connect(_: Client, __: Any, ___: Any, reason: ReasonCode, ____: Any) -> None:
            greetings.append(reason)
            greeted.set()

        def on_publish(_: Client, __: Any, mid: int, reason: ReasonCode, ___: Any) -> None:
            self._answers[mid] = reason

        client.on_connect = on_connect
        client.on_publish = on_publish

    @property
    def _port(self) -> int:
        return self._address.port or _PORTS[self._address.scheme]

    def beat(self) -> None:
        """The client pings by itself."""

    def close(self) -> None:
        """Says goodbye."""
        client, self._client = self._client, None
        if client is not None:
            client.disconnect()
            client.loop_stop()
            self._answers.clear()


def _make_context(address: Address) -> ssl.SSLContext:
    certificate, key = address.find_file("cert"), address.find_file("key")
    try:
        context = ssl.create_default_context(cafile=address.find_file("ca"))
        if certificate is not None:
            context.load_cert_chain(certificate, key)
    except OSError as error:
        raise BadInput(f"{address.shown}: the TLS files cannot be used: {error}") from error
    return context
