"""What a server knows of a device, and what still waits on the device."""

from __future__ import annotations

import sqlite3
from typing import TypeVar

from inference_core.contract.telemetry import Event, Gap
from tests.agent.device import Device
from tests.agent.gateway_simulator import Simulator

_B = TypeVar("_B")


def bodies(server: Simulator, kind: type[_B]) -> list[_B]:
    return [record.body for _, record in list(server.records) if isinstance(record.body, kind)]


def event_names(server: Simulator) -> set[str]:
    return {event.name for event in bodies(server, Event)}


def waiting(device: Device) -> int:
    """Records in the outbox."""
    connection = sqlite3.connect(f"file:{device.state}/outbox.sqlite?mode=ro", uri=True)
    try:
        return int(connection.execute("SELECT COUNT(*) FROM record").fetchone()[0])
    finally:
        connection.close()


def assert_all_accounted_for(server: Simulator) -> list[Gap]:
    """Every boot's numbers, from 1 on, are each a record or inside one gap; gives the gaps."""
    with server.lock:
        records = list(server.records)
    for boot in {boot for boot, _ in records}:
        last = 0
        for record in (record for known, record in records if known == boot):
            body = record.body
            first = body.first_seq if isinstance(body, Gap) else record.seq
            assert first == last + 1, f"boot {boot}: {first} after {last}"
            last = record.seq
    return [record.body for _, record in records if isinstance(record.body, Gap)]
