"""The newest verdict to a PLC or SCADA by OPC UA; the variables are in ``docs/sinks.md``."""

from __future__ import annotations

import contextlib
import logging

from asyncua import ua
from asyncua.sync import Client, SyncNode, ThreadLoop
from asyncua.ua.uaerrors import UaError

from inference_core.contract.addresses import check_security
from inference_core.contract.results import FrameResult
from inference_core.contract.words import VerdictWord
from inference_core.errors import BadInput
from inference_core.pipeline.sinks.address import Address
from inference_core.pipeline.sinks.base import Link, Parcel, Refused, Traits, Unreachable
from inference_core.pipeline.sinks.folders import find_secret_file

_TIMEOUT_S = 4.0
_DEFAULT_PORT = 4840
_MOST_CHARACTERS = 1000


def open_link(address: Address) -> Link:
    """``opc.tcp://[user@]host[:4840]/path?node=ns=2;s=Line1&security=…&secret=…``."""
    address.expect("node", "security", "heartbeat_s", "max_age_s")
    try:
        ua.NodeId.from_string(f"{address.options.get('node', '')}.Passed")
    except (UaError, ValueError) as error:
        raise BadInput(f"{address.shown}: write ?node=ns=2;s=Line1, a string NodeId") from error
    return _Server(address)


def encode_verdict(result: FrameResult) -> dict[str, ua.Variant]:
    """What is said of the part; the sequence number is written after all of it."""
    reasons = "; ".join(result.reasons)[:_MOST_CHARACTERS]
    return {
        "Passed": ua.Variant(result.verdict is VerdictWord.PASS, ua.VariantType.Boolean),
        "Fault": ua.Variant(result.fault is not None, ua.VariantType.Boolean),
        "Reasons": ua.Variant(reasons, ua.VariantType.String),
        "LatencyMs": ua.Variant(result.latency_ms, ua.VariantType.Double),
        "CapturedAt": ua.Variant(result.captured_at, ua.VariantType.DateTime),
    }


class _Server:
    """The verdict in one service call, then in another the numbers that say it is new."""

    def __init__(self, address: Address) -> None:
        # It logs every failed attempt with its trace; the courier tells the edge.
        logging.getLogger("asyncua").setLevel(logging.CRITICAL)
        self.traits = Traits(
            capacity=1,
            longest_wait_s=2.0,
            beat_s=address.number("heartbeat_s", 1.0, 0.05, 60.0),
            max_age_s=address.number("max_age_s", 2.0, 0.05, 3600.0),
        )
        self._address = address
        self._secret = address.read_secret()
        self._security = _find_security(address)
        self._heartbeat = 0
        self._client: Client | None = None
        self._nodes: dict[str, SyncNode] = {}

    def deliver(self, parcel: Parcel) -> None:
        """A server may take some variables and refuse others: no new number on half a verdict."""
        sequence = ua.Variant(parcel.result.sequence & 0xFFFFFFFF, ua.VariantType.UInt32)
        self._write(encode_verdict(parcel.result))
        self._write({"Sequence": sequence, **self._next_beat()})

    def beat(self) -> None:
        """The heartbeat alone."""
        self._write(self._next_beat())

    def close(self) -> None:
        """Hangs up; the library's thread ends with it."""
        client, self._client = self._client, None
        if client is not None:
            # The connection may be what failed: then there is nobody to say goodbye to.
            with contextlib.suppress(Exception):
                client.disconnect()
            with contextlib.suppress(Exception):
                client.tloop.stop()

    def _next_beat(self) -> dict[str, ua.Variant]:
        self._heartbeat = (self._heartbeat + 1) & 0xFFFFFFFF
        return {"Heartbeat": ua.Variant(self._heartbeat, ua.VariantType.UInt32)}

    def _write(self, values: dict[str, ua.Variant]) -> None:
        try:
            client = self._client or self._connect()
            nodes = [self._find(client, name) for name in values]
            answers = client.write_values(nodes, list(values.values()), False)
        except Exception as error:  # the library raises asyncio's, its own and plain ones
            self.close()
            raise Unreachable(f"{type(error).__name__}: {error}") from error
        for name, answer in zip(values, answers, strict=True):
            if not answer.is_good():
                raise Refused(f"the server answers {answer.name} to {name}")

    def _connect(self) -> Client:
        loop = ThreadLoop(timeout=2 * _TIMEOUT_S)
        loop.daemon = True
        loop.start()
        address = self._address
        host = f"{address.host}:{address.port or _DEFAULT_PORT}"
        client = Client(f"opc.tcp://{host}{address.path}", timeout=_TIMEOUT_S, tloop=loop)
        self._client, self._nodes = client, {}
        if address.user is not None:
            client.set_user(address.user)
            client.set_password(self._secret or "")
        if self._security is not None:
            client.set_security_string(self._security)
        client.connect()
        return client

    def _find(self, client: Client, name: str) -> SyncNode:
        if name not in self._nodes:
            self._nodes[name] = client.get_node(f"{self._address.options['node']}.{name}")
        return self._nodes[name]


def _find_security(address: Address) -> str | None:
    """As the library wants it: with the paths of the files that are named."""
    security = address.options.get("security")
    if not security:
        return None
    with address.naming_itself():
        policy, mode, *names = check_security(security)
        paths = [str(find_secret_file("security", name)) for name in names]
    return ",".join([policy, mode, *paths])
