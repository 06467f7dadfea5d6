"""A real Mosquitto with our own folder, and clients with real certificates, for tests."""

from __future__ import annotations

import contextlib
import os
import signal
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from server.broker.configuration import BrokerFiles, pid_file, write_broker_folder
from server.trust import device_ca
from server.trust.device_ca import Authority, Credentials
from tests.servers import _find, _wait_for_port, free_port

LIMIT_S = 20.0


def wait(is_done: Callable[[], object], limit_s: float = LIMIT_S) -> None:
    deadline = time.monotonic() + limit_s
    while not is_done():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def new_authority(now: datetime | None = None) -> Authority:
    return device_ca.load_authority(device_ca.make_authority(now or datetime.now(UTC)))


def csr_of(key: Ed25519PrivateKey, name: str = "whoever") -> str:
    """A request that claims to be ``name``, which the authority ignores."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, None)
    return request.public_bytes(Encoding.PEM).decode()


def public_pem(key: Ed25519PrivateKey) -> str:
    spki = PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(Encoding.PEM, spki).decode()


def private_pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def device_credentials(
    authority: Authority,
    device_id: UUID,
    key: Ed25519PrivateKey | None = None,
    now: datetime | None = None,
) -> Credentials:
    """What a device has: its key, and a certificate that was issued at ``now``."""
    key = key or Ed25519PrivateKey.generate()
    issued = device_ca.issue(
        csr_of(key),
        device_id=device_id,
        public_key=public_pem(key),
        authority=authority,
        now=now or datetime.now(UTC),
    )
    return Credentials(issued.pem, private_pem(key))


def serial_of(credentials: Credentials) -> str:
    return f"{x509.load_pem_x509_certificate(credentials.certificate).serial_number:x}"


class PushBroker:
    """Mosquitto on loopback; ``kill`` and ``start`` again, ``deny`` as the server does."""

    def __init__(
        self, folder: Path, authority: Authority | None = None, port: int | None = None
    ) -> None:
        self.folder, self.port = folder, port or free_port()
        self.authority = authority or new_authority()
        now = datetime.now(UTC)
        self._own = device_ca.issue_broker(["127.0.0.1"], authority=self.authority, now=now)
        self._process: subprocess.Popen[bytes] | None = None

    def write(self, denied: Iterable[str] = (), revoked: Iterable[str] = ()) -> None:
        crl = device_ca.make_crl(self.authority, revoked, datetime.now(UTC))
        files = BrokerFiles(
            self.authority.certificate_pem, self._own.certificate, self._own.key, crl
        )
        write_broker_folder(
            self.folder, port=self.port, files=files, denied=denied, bind="127.0.0.1"
        )

    def start(self) -> None:
        """Run from the folder, which is written first where nobody has."""
        if not (self.folder / "mosquitto.conf").exists():
            self.write()
        command = [str(_find("mosquitto")), "-c", str(self.folder / "mosquitto.conf")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stderr=log)
        _wait_for_port(self.port, self._process)

    def deny(self, *devices: object, revoked: Iterable[str] = ()) -> None:
        """Write deny lines and the list of revoked serials, and have the broker look again."""
        self.write([str(device) for device in devices], revoked)
        self.look_again()

    def look_again(self) -> None:
        """SIGHUP."""
        os.kill(int(pid_file(self.folder).read_text()), signal.SIGHUP)

    def kill(self) -> None:
        """A power cut: nothing is said to anybody."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(LIMIT_S)
        self._process = None

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()


@contextlib.contextmanager
def push_broker(folder: Path, authority: Authority | None = None) -> Iterator[PushBroker]:
    """A running broker that is gone afterwards."""
    broker = PushBroker(folder, authority)
    broker.start()
    try:
        yield broker
    finally:
        broker.kill()


class PushClient:
    """An MQTT 5 client with a certificate of ours: what it hears, and what it is answered."""

    def __init__(
        self, broker: PushBroker, credentials: Credentials, folder: Path, **options: Any
    ) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self.answers: dict[int, ReasonCode] = {}
        self.connected: list[ReasonCode] = []
        self.disconnected: list[ReasonCode] = []
        self._granted = threading.Event()
        self._client = Client(
            CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5, **options
        )
        self._client.tls_set_context(_context(broker.authority, credentials, folder))
        self._client.on_connect = self._note_connected
        self._client.on_disconnect = self._note_disconnected
        self._client.on_message = self._note_message
        self._client.on_publish = self._note_answer
        self._client.on_subscribe = lambda *_: self._granted.set()
        self._broker = broker

    def connect(self, will: tuple[str, str] | None = None) -> PushClient:
        """Connect; raises ConnectionRefusedError where the broker shuts the door."""
        if will is not None:
            self._client.will_set(will[0], will[1], qos=1, retain=True)
        try:
            self._client.connect("127.0.0.1", self._broker.port, keepalive=5)
        except ssl.SSLError as error:
            raise ConnectionRefusedError(str(error)) from error
        # With TLS 1.3 a client learns only afterwards what is thought of its certificate.
        self._client.loop_start()
        wait(lambda: self.connected or self.disconnected)
        if not self.connected:
            self.close()
            raise ConnectionRefusedError(str(self.disconnected))
        return self

    def subscribe(self, topic: str) -> None:
        """Granted says nothing: Mosquitto grants every topic, and keeps to its rules later."""
        self._granted.clear()
        self._client.subscribe(topic, qos=1)
        assert self._granted.wait(LIMIT_S)

    def publish(self, topic: str, payload: str, *, retain: bool = False) -> ReasonCode:
        """Publish with QoS 1 and wait for the broker's word on it."""
        mid = self._client.publish(topic, payload, qos=1, retain=retain).mid
        wait(lambda: mid in self.answers)
        return self.answers[mid]

    def vanish(self) -> None:
        """The line is cut: no goodbye, so that the last will is due."""
        self._client.loop_stop()
        socket = self._client.socket()
        assert socket is not None
        socket.close()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _note_connected(
        self, _: Client, __: object, ___: ConnectFlags, code: ReasonCode, ____: object
    ) -> None:
        self.connected.append(code)

    def _note_disconnected(
        self,
        client: Client,
        _: object,
        __: DisconnectFlags,
        code: ReasonCode,
        ___: Properties | None,
    ) -> None:
        self.disconnected.append(code)

    def _note_message(self, _: Client, __: object, message: MQTTMessage) -> None:
        self.heard.append((message.topic, message.payload))

    def _note_answer(self, _: Client, __: object, mid: int, code: ReasonCode, ___: object) -> None:
        self.answers[mid] = code


def _context(authority: Authority, own: Credentials, folder: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=authority.certificate_pem.decode())
    context.verify_flags |= ssl.VERIFY_X509_STRICT  # as Python 3.13 has it by itself
    path = folder / f"client-{os.urandom(4).hex()}.pem"
    path.write_bytes(own.certificate + own.key)
    context.load_cert_chain(path)
    path.unlink()
    return context
