"""One MQTT 5 session at the broker. Imports paho, which only a device with a broker pays for."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage, error_string
from paho.mqtt.enums import CallbackAPIVersion, LogLevel, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from device_agent.errors import Unavailable
from inference_core.contract.device import Broker

KEEPALIVE_S = 30
MAX_PACKET_BYTES = 4096
_OPEN_LIMIT_S = 10.0
_CLOSE_LIMIT_S = 1.0
_TAKEN_OVER = 0x8E


class TurnedOut(Unavailable):
    """The broker ended a session that was up, as it does when another comes with the same name.

    MQTT 5 has a reason for it; Mosquitto 2.0.11 says nothing and closes.
    """


class Mistrusted(Unavailable):
    """TLS failed: one side does not believe the other's certificate."""


class Session:
    """Used by one thread. ``on_bell`` is called in ``turn``; what is lost is raised there."""

    def __init__(
        self,
        device_id: str,
        broker: Broker,
        context: ssl.SSLContext,
        on_bell: Callable[[], None],
    ) -> None:
        topics = f"fleet/v1/{device_id}"
        self._presence, self._doorbell = f"{topics}/presence", f"{topics}/doorbell"
        self._broker, self._on_bell = broker, on_bell
        self.is_up = False
        self.denied: str | None = None
        self._error: Unavailable | None = None
        self._last_log = ""
        self._answered = 0
        self._opened_at = 0.0
        self._client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=device_id,
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
        )
        self._client.tls_set_context(context)
        self._client.will_set(self._presence, "offline", qos=1, retain=True)
        self._client.on_connect = self._note_connected
        self._client.on_disconnect = self._note_disconnected
        self._client.on_subscribe = self._note_granted
        self._client.on_publish = self._note_published
        self._client.on_message = self._note_bell
        self._client.on_log = self._note_log

    def open(self) -> None:
        """Connect and say hello; the answer is heard in ``turn``."""
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho's
        properties.SessionExpiryInterval = 0
        properties.MaximumPacketSize = MAX_PACKET_BYTES
        properties.ReceiveMaximum = 10
        self._opened_at = time.monotonic()
        try:
            self._client.connect(
                self._broker.host,
                self._broker.port,
                KEEPALIVE_S,
                clean_start=True,
                properties=properties,
            )
        except ssl.SSLError as error:
            raise Mistrusted(f"TLS failed: {error}") from error
        except (OSError, ValueError) as error:
            raise Unavailable(f"cannot connect: {error}") from error

    def turn(self, longest_s: float) -> None:
        """Hear what comes within ``longest_s``; ``Unavailable`` when the session is over."""
        try:
            code = self._client.loop(longest_s)
        except Exception as error:  # a broken packet makes paho 2.1 raise what it trips over
            raise Unavailable(f"the broker sends what is no MQTT: {error!r}") from error
        if self._error:
            raise self._error
        if code != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise self._loss(code)
        if not self.is_up and time.monotonic() - self._opened_at > _OPEN_LIMIT_S:
            raise Unavailable(f"it took the connection and said nothing for {_OPEN_LIMIT_S:g} s")

    def close(self, *, says_stopped: bool) -> None:
        """End in order, so that the last will is not spoken. Takes a second at most."""
        ends_at = time.monotonic() + _CLOSE_LIMIT_S
        if says_stopped and self.is_up:
            awaited = self._answered + 1
            self._client.publish(self._presence, "stopped", qos=1, retain=True)
            while self._answered < awaited and time.monotonic() < ends_at:
                if self._client.loop(0.1) != MQTTErrorCode.MQTT_ERR_SUCCESS:
                    return
        self._client.disconnect()
        self._client.loop(0.1)

    def _loss(self, code: MQTTErrorCode) -> Unavailable:
        if "SSL" in self._last_log:
            return Mistrusted(self._last_log)
        if self._last_log:
            return Unavailable(self._last_log)
        if self.is_up and code == MQTTErrorCode.MQTT_ERR_CONN_LOST:
            return TurnedOut("the broker closed the connection")
        return Unavailable(error_string(code))

    def _note_connected(
        self, client: Client, _: object, __: ConnectFlags, code: ReasonCode, ___: object
    ) -> None:
        if code.is_failure:
            self._error = Unavailable(f"the broker refuses this device: {code}")
            return
        self.is_up = True
        # A bell that was kept for us is old news: this device has polled since.
        options = SubscribeOptions(qos=1, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND)
        client.subscribe(self._doorbell, options=options)
        client.publish(self._presence, "online", qos=1, retain=True)

    def _note_disconnected(
        self, _: Client, __: object, flags: DisconnectFlags, code: ReasonCode, ___: object
    ) -> None:
        if not flags.is_disconnect_packet_from_server:
            return
        kind = TurnedOut if code.value == _TAKEN_OVER else Unavailable
        self._error = kind(f"the broker ended the session: {code}")

    def _note_granted(
        self, _: Client, __: object, ___: int, codes: list[ReasonCode], ____: object
    ) -> None:
        for code in codes:
            if code.is_failure:
                self.denied = f"the doorbell: {code}"

    def _note_published(
        self, _: Client, __: object, ___: int, code: ReasonCode, ____: object
    ) -> None:
        self._answered += 1
        if code.is_failure:
            self.denied = f"the presence: {code}"

    def _note_bell(self, _: Client, __: object, ___: MQTTMessage) -> None:
        """Whatever it says, it means: ask the server. Nothing of it is believed."""
        self._on_bell()

    def _note_log(self, _: Client, __: object, level: int, text: str) -> None:
        """Paho tells why a connection broke in its log only."""
        if level == LogLevel.MQTT_LOG_ERR and not text.startswith("Client is not connected"):
            self._last_log = text[:300]
