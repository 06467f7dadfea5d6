"""Shadow summaries: merged by the hour, each exactly once, in whatever order."""

from __future__ import annotations

import itertools
import json
import uuid
from typing import Any

import pytest

from inference_core.contract.histogram import ExponentialHistogram
from server.fleet.models import Device
from server.telemetry.models import HourSummary, QuarantinedRecord, ShadowHour
from server.telemetry.reading import read_batch
from server.telemetry.selectors import SHADOW_COUNTS, shadow_figures, shadow_hours
from server.telemetry.services import store_batch
from tests.server.box import Box
from tests.server.telemetry.records import event, record, summary

pytestmark = pytest.mark.django_db

BOOT = uuid.UUID("5f0c0f0e-0000-4000-8000-000000000000")
RUNS, SHADOW = "d" * 64, "e" * 64


@pytest.fixture
def device(box: Box) -> Device:
    return box.device


def shadow(seq: int, both_pass: int = 8, latencies: tuple[float, ...] = (), **changes: Any) -> Any:
    body = {
        "kind": "shadow",
        "hour": "2026-11-22T10:00:00Z",
        "camera": "top",
        "release_sha256": RUNS,
        "shadow_sha256": SHADOW,
        "pairs": both_pass + 6,
        "both_pass": both_pass,
        "both_fail": 1,
        "only_release_fails": 2,
        "only_shadow_fails": 3,
        "skipped": 4,
        "faults": {"not_finite": 1},
        "latency_ms": ExponentialHistogram.of(latencies).model_dump(mode="json"),
    }
    return record(seq, body | changes)


def store(device: Device, *records: Any, boot: uuid.UUID = BOOT) -> int:
    body = json.dumps({"boot_id": str(boot), "records": records}).encode()
    return store_batch(device=device, batch=read_batch(body))


def test_records_of_one_hour_are_summed_whether_in_one_batch_or_in_two(device: Device) -> None:
    assert store(device, shadow(1, 8, (10.0,)), shadow(2, 10, (20.0,))) == 2
    store(device, shadow(3, 12, (30.0,)))
    row = ShadowHour.objects.get()
    assert [getattr(row, name) for name in SHADOW_COUNTS] == [48, 30, 3, 6, 9, 12]
    assert row.faults == {"not_finite": 3}
    merged = ExponentialHistogram.model_validate(row.latency_ms)
    assert merged == ExponentialHistogram.of([10.0, 20.0, 30.0])


def test_the_order_of_records_does_not_matter(device: Device) -> None:
    seen = []
    for order in itertools.permutations([(1, (1.0, 400.0)), (7, (3.0,)), (20, ())]):
        ShadowHour.objects.all().delete()
        for part in order:
            store(device, shadow(1, *part), boot=uuid.uuid4())
        row = ShadowHour.objects.get()
        seen.append((row.both_pass, row.latency_ms["buckets"], row.latency_ms["sum_micro"]))
    assert seen[0][0] == 28
    assert seen == [seen[0]] * 6


def test_a_batch_that_is_sent_again_is_counted_once(device: Device) -> None:
    for _ in range(3):
        assert store(device, shadow(1), shadow(2)) == 2
    assert ShadowHour.objects.get().pairs == 28


def test_cameras_releases_hours_and_shadows_are_kept_apart(device: Device) -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"camera": "side"},
        {"release_sha256": "a" * 64},
        {"shadow_sha256": "b" * 64},
        {"hour": "2026-11-22T11:59:00Z"},
    ]
    store(device, *[shadow(seq, **change) for seq, change in enumerate(changes, start=1)])
    assert ShadowHour.objects.count() == 5
    assert {row.pairs for row in ShadowHour.objects.all()} == {14}


@pytest.mark.parametrize(
    "change",
    [
        {"pairs": 13},
        {"pairs": -1},
        {"skipped": 2**40},
        {"shadow_sha256": "no digest"},
        {"faults": {str(cause): 1 for cause in range(300)}},
        {"latency_ms": {"scale": 7, "buckets": {"1": 1}}},
        {"hour": "9999-12-31T23:59:59-14:00"},
    ],
)
def test_an_impossible_one_is_set_aside_and_the_rest_is_stored(
    device: Device, change: dict[str, Any]
) -> None:
    store(device, shadow(1, 8, (1.0,)))
    bad = shadow(2, **change)
    assert store(device, bad, shadow(3), summary(4, frames=5), event(5)) == 5
    assert QuarantinedRecord.objects.get().seq == 2
    assert ShadowHour.objects.get().pairs == 28
    assert HourSummary.objects.get().frames == 5


def test_figures_are_sums_by_pair_of_releases(device: Device) -> None:
    store(device, shadow(1, 1_224), shadow(2, camera="side", both_pass=0, pairs=6))
    store(device, shadow(3, shadow_sha256="b" * 64), shadow(4, hour="2026-11-22T09:00:00Z"))
    first, second = shadow_figures(shadow_hours(Device.objects.all()))
    assert (first.shadow_sha256, second.shadow_sha256) == (SHADOW, "b" * 64)
    assert (first.pairs, first.disagreements, first.skipped) == (1_230 + 6 + 14, 15, 12)
    assert first.disagreement_share == 15 / 1_250
    assert first.faults == {"not_finite": 3}
    assert shadow_figures(shadow_hours(Device.objects.none())) == []
