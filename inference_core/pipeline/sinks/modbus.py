"""The newest verdict to a PLC by Modbus TCP; the register map is in ``docs/sinks.md``."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from pymodbus.client import ModbusTcpClient
from pymodbus.exceptions import ModbusException

from inference_core.contract.results import FrameResult
from inference_core.contract.words import VerdictWord
from inference_core.errors import BadInput
from inference_core.pipeline.sinks.address import Address
from inference_core.pipeline.sinks.base import Link, Parcel, Refused, Traits, Unreachable

_TIMEOUT_S = 2.0
_DEFAULT_PORT = 502
_BUSY = frozenset({5, 6, 10, 11})
"""Exceptions that pass: acknowledge, busy, and a gateway that does not get through."""

_PASSED, _FAILED = 1, 2


def open_link(address: Address) -> Link:
    """``modbus://host[:502]/unit?register=0&coil=0&heartbeat_s=1&max_age_s=2``."""
    address.expect("register", "coil", "heartbeat_s", "max_age_s")
    unit = address.path.strip("/") or "1"
    if not address.host or not unit.isdecimal() or int(unit) > 255:
        raise BadInput(f"{address.shown}: write modbus://host/unit, with a unit from 0 to 255")
    return _Plc(address, int(unit))


def encode_verdict(result: FrameResult, heartbeat: int) -> list[int]:
    """The nine registers; numbers of two registers have their high word first."""
    captured_s = int(result.captured_at.timestamp())
    return [
        heartbeat & 0xFFFF,
        _PASSED if result.verdict is VerdictWord.PASS else _FAILED,
        int(result.fault is not None),
        *_split(result.sequence),
        min(round(result.latency_ms), 0xFFFF),
        *_split(captured_s),
        result.captured_at.microsecond // 1000,
    ]


class _Plc:
    """All registers in one write, so a PLC never sees half a verdict."""

    def __init__(self, address: Address, unit: int) -> None:
        # It logs every failed attempt as an error; the courier tells the edge.
        logging.getLogger("pymodbus").setLevel(logging.CRITICAL)
        self.traits = Traits(
            capacity=1,
            longest_wait_s=2.0,
            beat_s=address.number("heartbeat_s", 1.0, 0.05, 60.0),
            max_age_s=address.number("max_age_s", 2.0, 0.05, 3600.0),
        )
        self._register = address.whole("register", 0, 0, 0xFFFF - 9)
        has_coils = "coil" in address.options
        self._coil = address.whole("coil", 0, 0, 0xFFFF - 2) if has_coils else None
        self._unit = unit
        self._heartbeat = 0
        self._client: Any = ModbusTcpClient(
            address.host, port=address.port or _DEFAULT_PORT, timeout=_TIMEOUT_S, retries=0
        )

    def deliver(self, parcel: Parcel) -> None:
        """Coils first: when the sequence number changes, all the rest is there."""
        if self._coil is not None:
            passed = parcel.result.verdict is VerdictWord.PASS
            self._write(self._client.write_coils, self._coil, [passed, not passed])
        self._heartbeat += 1
        registers = encode_verdict(parcel.result, self._heartbeat)
        self._write(self._client.write_registers, self._register, registers)

    def beat(self) -> None:
        """One more in the first register alone."""
        self._heartbeat += 1
        self._write(self._client.write_registers, self._register, [self._heartbeat & 0xFFFF])

    def close(self) -> None:
        """Hangs up."""
        self._client.close()

    def _write(self, function: Callable[..., Any], place: int, values: list[Any]) -> None:
        try:
            if not self._client.connect():
                raise Unreachable("there is no connection")
            answer = function(place, values, device_id=self._unit)
        except (OSError, ModbusException) as error:
            self.close()
            raise Unreachable(str(error)) from error
        if answer.isError():
            code = getattr(answer, "exception_code", 0)
            if code in _BUSY:
                raise Unreachable(f"the PLC is busy (exception {code})")
            raise Refused(f"the PLC answers exception {code} to a write at {place}")


def _split(number: int) -> tuple[int, int]:
    return (number >> 16) & 0xFFFF, number & 0xFFFF
