"""Records wait in order, survive, and are dropped only with a gap in their place."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from device_agent.outbox import Outbox
from inference_core.contract.telemetry import Batch, Event, Gap, Health

LIMIT_BYTES = 1_000_000


def event(number: int) -> Event:
    return Event(name=f"event-{number}", detail="x" * 200)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.sqlite"


def drain(outbox: Outbox) -> list[Batch]:
    batches = []
    while batch := outbox.peek():
        batches.append(batch)
        outbox.acknowledge(batch.boot_id, batch.records[-1].seq)
    return batches


def test_records_come_out_in_order_at_most_500_at_a_time(path: Path) -> None:
    outbox = Outbox.open(path, limit_bytes=LIMIT_BYTES)
    outbox.append(*map(event, range(1, 1002)))
    batches = drain(outbox)
    assert [len(batch.records) for batch in batches] == [500, 500, 1]
    assert [r.seq for batch in batches for r in batch.records] == list(range(1, 1002))


def test_what_is_not_acknowledged_stays(path: Path) -> None:
    outbox = Outbox.open(path, limit_bytes=LIMIT_BYTES)
    outbox.append(event(1), event(2), event(3))
    assert outbox.acknowledge(outbox.boot_id, 2) == 2
    batch = outbox.peek()
    assert batch is not None
    assert [record.seq for record in batch.records] == [3]


def test_the_records_of_an_earlier_start_come_first_under_their_own_boot(path: Path) -> None:
    first = Outbox.open(path, limit_bytes=LIMIT_BYTES)
    first.append(event(1))
    first.close()
    second = Outbox.open(path, limit_bytes=LIMIT_BYTES)
    second.append(event(2))
    batches = drain(second)
    assert [batch.boot_id for batch in batches] == [first.boot_id, second.boot_id]
    assert [batch.records[0].seq for batch in batches] == [1, 1]


def test_an_appended_record_is_on_disk_for_another_process(path: Path) -> None:
    outbox = Outbox.open(path, limit_bytes=LIMIT_BYTES)
    outbox.append(event(1))
    other = sqlite3.connect(path)
    assert other.execute("SELECT COUNT(*) FROM record").fetchone() == (1,)
    other.close()


def test_a_full_outbox_drops_health_first_and_puts_gaps_in_its_place(path: Path) -> None:
    outbox = Outbox.open(path, limit_bytes=30_000)
    for number in range(300):
        outbox.append(Health(cpu_share=0.5, uptime_s=float(number)))
        if number % 100 == 0:
            outbox.append(event(number))
    records = [record for batch in drain(outbox) for record in batch.records]
    gaps = [record for record in records if isinstance(record.body, Gap)]
    kept = [record for record in records if not isinstance(record.body, Gap)]
    assert sum(isinstance(record.body, Event) for record in kept) == 3
    covered = {seq for gap in gaps for seq in range(gap.body.first_seq, gap.body.last_seq + 1)}
    assert covered.isdisjoint(record.seq for record in kept)
    assert covered | {record.seq for record in kept} == set(range(1, 304))


def test_a_long_outage_does_not_fill_the_disk_with_gaps(path: Path) -> None:
    outbox = Outbox.open(path, limit_bytes=20_000)
    for number in range(800):
        outbox.append(event(number))
    assert outbox.count() < 100


def test_a_poison_record_gives_way_to_a_gap(path: Path) -> None:
    outbox = Outbox.open(path, limit_bytes=LIMIT_BYTES)
    outbox.append(event(1), event(2))
    batch = outbox.peek(1)
    assert batch is not None
    outbox.quarantine(batch.boot_id, batch.records[0])
    batch = outbox.peek()
    assert batch is not None
    assert batch.records[0].body == Gap(first_seq=1, last_seq=1, reason="refused")
    assert batch.records[1].body == event(2)
