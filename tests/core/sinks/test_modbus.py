"""The newest verdict in the registers of a real Modbus server, and a heartbeat beside it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest
from pymodbus.client import ModbusTcpClient
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from inference_core.contract.words import FailureCause
from inference_core.pipeline.sinks import open_sink
from inference_core.pipeline.sinks.courier import Courier
from tests.servers import free_port

from .results import CAPTURED_AT, frame, result, wait_until

REGISTERS = 40


class Plc:
    """A Modbus server in this process that can be switched off and on."""

    def __init__(self) -> None:
        self.port = free_port()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: ModbusTcpServer | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        is_up = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(is_up)))
        self._thread.start()
        assert is_up.wait(20)

    async def _serve(self, is_up: threading.Event) -> None:
        registers = SimData(0, count=REGISTERS, values=0, datatype=DataType.REGISTERS)
        coils = SimData(0, count=REGISTERS, values=False, datatype=DataType.BITS)
        device = SimDevice(7, simdata=([coils], [coils], [registers], [registers]))
        self._loop = asyncio.get_running_loop()
        self._server = ModbusTcpServer(device, address=("127.0.0.1", self.port))
        await self._server.serve_forever(background=True)
        is_up.set()
        await self._server.serving

    def stop(self) -> None:
        if self._thread is None or self._server is None or self._loop is None:
            return
        asyncio.run_coroutine_threadsafe(self._server.shutdown(), self._loop).result(20)
        self._thread.join(20)
        self._thread = None

    def read(self, first: int = 0, count: int = 9) -> list[int]:
        with ModbusTcpClient("127.0.0.1", port=self.port) as client:
            return client.read_holding_registers(first, count=count, device_id=7).registers

    def read_coils(self, first: int) -> list[bool]:
        with ModbusTcpClient("127.0.0.1", port=self.port) as client:
            return client.read_coils(first, count=2, device_id=7).bits[:2]


@pytest.fixture
def plc() -> Iterator[Plc]:
    plc = Plc()
    yield plc
    plc.stop()


def send(courier: Courier, sequence: int, *, passed: bool = True) -> None:
    courier.write(frame(sequence), result(sequence, passed=passed))


def number(high: int, low: int) -> int:
    return high << 16 | low


def test_the_registers_hold_what_the_map_says(plc: Plc) -> None:
    plc.start()
    sink = open_sink(f"modbus://127.0.0.1:{plc.port}/7?register=20&heartbeat_s=60")
    send(sink, 70_000, passed=False)
    wait_until(lambda: sink.account.delivered == 1)
    heartbeat, verdict, fault, *numbers = plc.read(20)
    sink.close(10)
    assert (heartbeat, verdict, fault) == (1, 2, 0)
    assert number(*numbers[0:2]) == 70_000
    assert numbers[2] == 12
    assert number(*numbers[3:5]) == int(CAPTURED_AT.timestamp())
    assert numbers[5] == 250
    assert plc.read(0, 20) == [0] * 20
    assert plc.read(29, 11) == [0] * 11


def test_a_model_fault_is_a_fault_and_never_a_pass(plc: Plc) -> None:
    plc.start()
    sink = open_sink(f"modbus://127.0.0.1:{plc.port}/7")
    sink.write(frame(), result(passed=False, fault=FailureCause.NOT_FINITE))
    wait_until(lambda: sink.account.delivered == 1)
    sink.close(10)
    assert plc.read()[1:3] == [2, 1]


def test_two_coils_say_passed_and_failed(plc: Plc) -> None:
    plc.start()
    sink = open_sink(f"modbus://127.0.0.1:{plc.port}/7?coil=3")
    for passed in (True, False):
        before = sink.account.delivered
        send(sink, before, passed=passed)
        wait_until(lambda before=before: sink.account.delivered == before + 1)
        assert plc.read_coils(3) == [passed, not passed]
    sink.close(10)


def test_the_heartbeat_goes_on_while_no_part_comes(plc: Plc) -> None:
    plc.start()
    sink = open_sink(f"modbus://127.0.0.1:{plc.port}/7?heartbeat_s=0.05")
    send(sink, 5)
    wait_until(lambda: plc.read()[0] >= 4)
    assert number(*plc.read()[3:5]) == 5
    sink.close(10)


def test_a_plc_that_comes_back_gets_the_newest_verdict_and_no_old_one(plc: Plc) -> None:
    sink = open_sink(f"modbus://127.0.0.1:{plc.port}/7?heartbeat_s=0.05&max_age_s=0.2")
    send(sink, 1)
    wait_until(lambda: sink.account.dropped == 1)
    plc.start()
    wait_until(lambda: plc.read()[0] > 0)
    assert plc.read()[1:] == [0] * 8
    send(sink, 2)
    wait_until(lambda: sink.account.delivered == 1)
    plc.stop()
    send(sink, 3)
    wait_until(lambda: sink.account.dropped == 2)
    plc.start()
    wait_until(lambda: plc.read()[0] > 0)
    send(sink, 4)
    wait_until(lambda: number(*plc.read()[3:5]) == 4)
    sink.close(10)


def test_registers_that_the_plc_does_not_have_are_refused_not_repeated(
    plc: Plc, caplog: pytest.LogCaptureFixture
) -> None:
    plc.start()
    sink = open_sink(f"modbus://127.0.0.1:{plc.port}/7?register=1000")
    send(sink, 1)
    wait_until(lambda: sink.account.dropped == 1)
    sink.close(10)
    assert "exception 2" in caplog.text
