"""Each record exactly once, or a counted gap in its place."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from inference_core.contract.histogram import ExponentialHistogram
from inference_core.contract.signals import ShareHistogram, Signals
from server.fleet.models import Device
from server.lib.errors import Conflict, Invalid, Malformed
from server.telemetry.models import Cursor, HourSummary, QuarantinedRecord, TelemetryRecord
from server.telemetry.reading import read_batch
from server.telemetry.services import store_batch
from tests.server.box import Box
from tests.server.telemetry.records import event, gap, health, record, summary

pytestmark = pytest.mark.django_db

BOOT = uuid.UUID("5f0c0f0e-0000-4000-8000-000000000000")


@pytest.fixture
def device(box: Box) -> Device:
    return box.device


def store(device: Device, *records: Any, boot: uuid.UUID = BOOT) -> int:
    body = json.dumps({"boot_id": str(boot), "records": records}).encode()
    return store_batch(device=device, batch=read_batch(body))


def test_a_batch_that_overlaps_is_stored_above_the_cursor_only(device: Device) -> None:
    assert store(device, summary(1, frames=10), event(2)) == 2
    assert store(device, summary(1, frames=10), event(2), summary(3, frames=5)) == 3
    assert HourSummary.objects.get().frames == 15
    assert TelemetryRecord.objects.count() == 1


def test_an_old_batch_is_acknowledged_again_and_changes_nothing(device: Device) -> None:
    store(device, event(1), event(2))
    assert store(device, event(1)) == 2
    assert TelemetryRecord.objects.count() == 2


def test_a_batch_out_of_order_does_not_pass_the_cursor(device: Device) -> None:
    store(device, event(1))
    with pytest.raises(Conflict) as caught:
        store(device, event(3))
    assert caught.value.extra == {"acked_seq": 1}
    assert Cursor.objects.get().acked_seq == 1


def test_signals_of_one_hour_merge_and_a_record_without_them_keeps_them(device: Device) -> None:
    one = Signals(luma=ShareHistogram.of([0.1, 0.2]), sharpness=ExponentialHistogram.of([5.0]))
    other = Signals(luma=ShareHistogram.of([0.1]), confidence={"dent": ShareHistogram.of([0.9])})
    for number, signals in enumerate((one, other), start=1):
        store(device, summary(number, frames=2, signals=signals.model_dump(mode="json")))
    store(device, summary(3, frames=2))
    assert Signals.model_validate(HourSummary.objects.get().signals) == one.merge(other)


def test_impossible_signals_are_set_aside_and_the_rest_is_stored(device: Device) -> None:
    counts = {"edges": "share64.v1", "counts": {"3": 10**18}}
    wild = summary(1, frames=2, signals={"luma": counts})
    assert store(device, wild, summary(2, frames=3)) == 2
    assert QuarantinedRecord.objects.get().seq == 1
    assert HourSummary.objects.get().frames == 3


def test_a_gap_stands_in_the_place_of_what_was_dropped(device: Device) -> None:
    assert store(device, event(1), gap(2, 40), event(41)) == 41
    stored = TelemetryRecord.objects.get(kind="gap")
    assert (stored.seq, stored.body["first_seq"], stored.body["last_seq"]) == (40, 2, 40)


def test_a_gap_does_not_count_what_had_arrived_before(device: Device) -> None:
    store(device, event(1), event(2), event(3))
    assert store(device, gap(2, 9)) == 9
    assert TelemetryRecord.objects.get(kind="gap").body["first_seq"] == 4
    assert TelemetryRecord.objects.filter(kind="event").count() == 3


def test_every_boot_counts_for_itself(device: Device) -> None:
    store(device, event(1), event(2))
    assert store(device, event(1), boot=uuid.uuid4()) == 1
    assert TelemetryRecord.objects.count() == 3


def test_summaries_of_one_hour_are_merged_exactly(device: Device) -> None:
    first, second = (1.0, 2.0, 400.0), (3.0,)
    store(device, summary(1, frames=3, latencies=first), summary(2, frames=1, latencies=second))
    store(device, summary(3, frames=2))
    row = HourSummary.objects.get()
    assert (row.frames, row.passed, row.failed) == (6, 3, 3)
    assert (row.lost, row.faults) == ({"no_input": 6}, {"not_finite": 3})
    merged = ExponentialHistogram.model_validate(row.latency_ms["total"])
    assert merged == ExponentialHistogram.of([*first, *second])


@pytest.mark.parametrize(
    "poison",
    [
        record(2, {"kind": "prophecy"}),
        record(2, {"kind": "event", "name": "not a slug!"}),
        record(2, {"kind": "event", "name": "started"}, captured_at="yesterday"),
        record(2, {"kind": "event", "name": "started"}, captured_at="0001-01-01T00:00:00+14:00"),
        record(2, {"kind": "event", "name": "started", "detail": "a\0b"}),
        summary(2, frames=2**40),
        summary(2, frames=-1),
        summary(2, frames=1, hour="9999-12-31T23:59:59-14:00"),
        summary(2, frames=1, latency_ms={"total": {"scale": 7, "buckets": {"1": 1}}}),
        summary(2, frames=1, latency_ms={"total": {"buckets": {"1": 10**30}}}),
        summary(2, frames=1, latency_ms={"total": {"buckets": {"99999999": 1}}}),
        summary(2, frames=1, latency_ms={"total": {"buckets": {"1": -1}}}),
        record(2, {"kind": "health", "disk_free_bytes": 10**400}),
        summary(2, frames=1, lost={str(cause): 1 for cause in range(300)}),
        record(2, {"kind": "prophecy", "number": 10**4000}),
        {"seq": 2},
        {"seq": 2, "captured_at": None, "body": [[[]]]},
        record(2, {"kind": "gap", "first_seq": 2, "last_seq": 7, "reason": "disk_full"}),
    ],
)
def test_poison_is_set_aside_whole_and_the_rest_flows(device: Device, poison: Any) -> None:
    records = (summary(1, frames=1, latencies=(1.0,)), poison, event(3))
    assert store(device, *records) == 3
    aside = QuarantinedRecord.objects.get()
    assert json.loads(aside.raw) == poison
    assert aside.problem
    assert HourSummary.objects.get().frames == 1
    assert TelemetryRecord.objects.get().seq == 3


def test_poison_that_comes_again_is_set_aside_once(device: Device) -> None:
    for _ in range(2):
        assert store(device, record(1, {"kind": "prophecy"})) == 1
    assert QuarantinedRecord.objects.count() == 1


def test_a_value_beyond_all_numbers_is_unknown_and_no_crash(device: Device) -> None:
    body = json.dumps({"boot_id": str(BOOT), "records": [health(1, cpu_share=7)]})
    store_batch(device=device, batch=read_batch(body.replace("7}", "1e999}").encode()))
    assert TelemetryRecord.objects.get().body["cpu_share"] is None


def test_a_backslash_before_u0000_is_text_like_any_other(device: Device) -> None:
    store(device, event(1, detail="\\u0000"))
    assert TelemetryRecord.objects.get().body["detail"] == "\\u0000"


def test_a_time_without_zone_is_utc(device: Device) -> None:
    store(device, event(1, captured_at="2026-11-22T10:20:30"))
    assert TelemetryRecord.objects.get().captured_at.isoformat() == "2026-11-22T10:20:30+00:00"


@pytest.mark.parametrize(
    "body",
    [
        {"boot_id": "x", "records": [event(1)]},
        {"boot_id": str(BOOT), "records": []},
        {"boot_id": str(BOOT), "records": [event(1)] * 501},
        {"boot_id": str(BOOT), "records": [{"body": {}}]},
        {"boot_id": str(BOOT), "records": [event(0)]},
        {"boot_id": str(BOOT), "records": [event(True)]},
        {"boot_id": str(BOOT), "records": [event(2**63)]},
        {"boot_id": str(BOOT), "records": [event(1), event(3)]},
        {"boot_id": str(BOOT), "records": [event(2), event(1)]},
        {"boot_id": str(BOOT), "records": "many"},
    ],
)
def test_a_batch_that_cannot_be_acknowledged_is_refused(body: Any) -> None:
    with pytest.raises(Invalid):
        read_batch(json.dumps(body).encode())


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 100_000, b"\xff", b"1" * 6000, b"NaN"])
def test_what_is_no_json_is_malformed(body: bytes) -> None:
    with pytest.raises((Malformed, Invalid)):
        read_batch(body)
