"""The newest verdict in the variables of a real OPC UA server, and a heartbeat beside it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from datetime import timezone
from typing import Any

import pytest
from asyncua import Server, ua

from inference_core.pipeline.sinks import open_sink
from inference_core.pipeline.sinks.courier import Courier
from tests.servers import free_port

from .results import CAPTURED_AT, frame, result, wait_until

VARIABLES: dict[str, tuple[Any, ua.VariantType]] = {
    "Passed": (False, ua.VariantType.Boolean),
    "Fault": (False, ua.VariantType.Boolean),
    "Reasons": ("", ua.VariantType.String),
    "LatencyMs": (0.0, ua.VariantType.Double),
    "CapturedAt": (CAPTURED_AT, ua.VariantType.DateTime),
    "Sequence": (0, ua.VariantType.UInt32),
    "Heartbeat": (0, ua.VariantType.UInt32),
}


class Plc:
    """An OPC UA server in this process that can be switched off and on."""

    def __init__(self) -> None:
        self.port = free_port()
        self.address = f"opc.tcp://127.0.0.1:{self.port}/plc"
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over: asyncio.Event | None = None
        self._thread: threading.Thread | None = None
        self._nodes: dict[str, Any] = {}

    def start(self, *, without: str = "") -> None:
        is_up = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(is_up, without)), daemon=True
        )
        self._thread.start()
        assert is_up.wait(30)

    async def _serve(self, is_up: threading.Event, without: str) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        server = Server()
        await server.init()
        server.set_endpoint(self.address)
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        space = await server.register_namespace("urn:test")
        folder = await server.nodes.objects.add_folder(space, "Line1")
        for name, (value, kind) in VARIABLES.items():
            if name != without:
                node = ua.NodeId(f"Line1.{name}", space)
                self._nodes[name] = await folder.add_variable(node, name, value, kind)
                await self._nodes[name].set_writable()
        self.namespace = space
        async with server:
            is_up.set()
            await self._over.wait()

    def stop(self) -> None:
        if self._thread is None or self._loop is None or self._over is None:
            return
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(30)
        self._thread = None

    def read(self, name: str) -> Any:
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(self._nodes[name].read_value(), self._loop).result(
            20
        )


@pytest.fixture
def plc() -> Iterator[Plc]:
    plc = Plc()
    yield plc
    plc.stop()


def send(courier: Courier, sequence: int, *, passed: bool = True) -> None:
    courier.write(frame(sequence), result(sequence, passed=passed))


def test_the_variables_hold_what_the_map_says(plc: Plc) -> None:
    plc.start()
    sink = open_sink(f"{plc.address}?node=ns={plc.namespace};s=Line1")
    send(sink, 70_000, passed=False)
    wait_until(lambda: sink.account.delivered == 1)
    sink.close(10)
    assert plc.read("Passed") is False
    assert plc.read("Fault") is False
    assert plc.read("Reasons") == "scratch or dent"
    assert plc.read("LatencyMs") == 12.4
    captured_at = plc.read("CapturedAt")
    assert captured_at.replace(tzinfo=timezone.utc) == CAPTURED_AT
    assert plc.read("Sequence") == 70_000
    assert plc.read("Heartbeat") == 1


def test_the_heartbeat_goes_on_while_no_part_comes(plc: Plc) -> None:
    plc.start()
    sink = open_sink(f"{plc.address}?node=ns={plc.namespace};s=Line1&heartbeat_s=0.05")
    send(sink, 5)
    wait_until(lambda: plc.read("Heartbeat") >= 4)
    sink.close(10)
    assert plc.read("Sequence") == 5
    assert plc.read("Passed") is True


def test_a_server_that_comes_late_and_goes_gets_the_newest_verdict(plc: Plc) -> None:
    sink = open_sink(f"{plc.address}?node=ns=2;s=Line1&heartbeat_s=0.05&max_age_s=0.5")
    send(sink, 1)
    wait_until(lambda: sink.account.dropped == 1)
    plc.start()
    wait_until(lambda: plc.read("Heartbeat") > 0)
    assert plc.read("Sequence") == 0
    plc.stop()
    plc.start()
    wait_until(lambda: plc.read("Heartbeat") > 0)
    send(sink, 2)
    wait_until(lambda: plc.read("Sequence") == 2)
    sink.close(10)


def test_half_a_verdict_gets_no_new_number(plc: Plc, caplog: pytest.LogCaptureFixture) -> None:
    plc.start(without="Passed")
    sink = open_sink(f"{plc.address}?node=ns={plc.namespace};s=Line1&heartbeat_s=0.05")
    send(sink, 1)
    wait_until(lambda: sink.account.dropped == 1)
    wait_until(lambda: plc.read("Heartbeat") > 0)
    sink.close(10)
    assert "to Passed" in caplog.text
    assert plc.read("Sequence") == 0
