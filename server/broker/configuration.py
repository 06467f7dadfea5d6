"""The folder that Mosquitto runs from, as pure functions: no Django, no row, no clock.

MQTT is a doorbell and a presence light. Nothing that matters lies in the broker, so that it
keeps nothing on its disk; who may do what hangs on the client's certificate alone.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from server.trust.device_ca import SERVER_NAME

TOPICS = "fleet/v1"
MAX_PACKET_BYTES = 4096

_CONFIGURATION = """\
# Written by Linewarden, and overwritten when something changes: change settings there.
listener {port}{bind}
protocol mqtt
cafile {folder}/ca.pem
certfile {folder}/broker.pem
keyfile {folder}/broker.pem
crlfile {folder}/crl.pem
tls_version tlsv1.2

# The certificate's CN is the user name, and the client id whatever the client says: nobody can
# throw out another by taking its id.
require_certificate true
use_identity_as_username true
use_username_as_clientid true
allow_anonymous false
acl_file {folder}/acl

# Presences come again with every connection; doorbells are worth nothing a moment later.
persistence false
max_packet_size {max_packet_bytes}
max_queued_messages 20
queue_qos0_messages false

pid_file {folder}/mosquitto.pid
{user}log_dest stderr
log_type error
log_type warning
log_type notice
"""

_RULES = """\
# Every client has its own subtree: %u is the CN of its certificate, a device id.
pattern write {topics}/%u/presence
pattern read {topics}/%u/doorbell

user {server}
topic write {topics}/+/doorbell
topic read {topics}/+/presence
"""

_DENIED = """
user {device}
topic deny #
"""


@dataclass(frozen=True)
class BrokerFiles:
    """PEM files of a broker: whom it trusts, who it is, whom it believes no more."""

    ca: bytes
    certificate: bytes
    key: bytes
    crl: bytes


def doorbell_topic(device_id: object) -> str:
    """Server to device: look at your goal."""
    return f"{TOPICS}/{device_id}/doorbell"


def presence_topic(device_id: object) -> str:
    """Device to server, retained: ``online``, ``stopped``, or ``offline`` as its last will."""
    return f"{TOPICS}/{device_id}/presence"


def pid_file(folder: Path) -> Path:
    """Where the broker that runs from ``folder`` says its process id."""
    return folder.absolute() / "mosquitto.pid"


def access_rules(denied: Iterable[str] = ()) -> str:
    """Mosquitto's ACL. ``denied``: devices that may do nothing, also in a session that lives.

    A list of revoked certificates is looked at only when a client connects; what is denied by
    name is denied with the next message.
    """
    rules = _RULES.format(topics=TOPICS, server=SERVER_NAME)
    return rules + "".join(_DENIED.format(device=device) for device in sorted(denied))


def write_broker_folder(
    folder: Path, *, port: int, files: BrokerFiles, denied: Iterable[str] = (), bind: str = ""
) -> None:
    """Write all that ``mosquitto -c folder/mosquitto.conf`` needs; each file whole or not at all.

    Only the owner of the folder can read it, and a broker that is started by root becomes that
    owner. A running broker looks again on SIGHUP. ``bind``: the address to listen at; all.
    """
    folder = folder.absolute()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    configuration = _CONFIGURATION.format(
        folder=folder,
        port=port,
        bind=f" {bind}" if bind else "",
        max_packet_bytes=MAX_PACKET_BYTES,
        user=_user_line(folder),
    )
    contents = {
        "ca.pem": files.ca,
        # One file: no restart in between finds a certificate with another's key.
        "broker.pem": files.certificate + files.key,
        "crl.pem": files.crl,
        "acl": access_rules(denied).encode(),
        "mosquitto.conf": configuration.encode(),
    }
    for name, content in contents.items():
        write_private(folder / name, content)


def _user_line(folder: Path) -> str:
    """The owner's name; none where the owner has no name here, as in some containers."""
    try:
        return f"user {pwd.getpwuid(folder.stat().st_uid).pw_name}\n"
    except KeyError:
        return ""


def write_private(path: Path, content: bytes) -> None:
    """Replace a file by one that its owner alone can read."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
