"""Hours, health and an event of two devices."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from inference_core.contract.histogram import ExponentialHistogram
from server.fleet.models import Device
from server.telemetry.models import HourSummary, TelemetryRecord
from tests.fleet_ui.story.base import World, digest_of


def make_telemetry(world: World) -> None:
    start = world.now.replace(minute=0, second=0, microsecond=0)
    for device in world.devices[:2]:
        for hour in range(18):
            add_hour(world, device, start - timedelta(hours=hour), failed=20 + hour % 5 * 12)
        for seq in range(1, 31):
            add_health(world, device, seq)
    TelemetryRecord.objects.create(
        device=world.devices[0],
        boot_id=uuid.uuid4(),
        seq=99,
        kind="event",
        captured_at=world.ago(minutes=31),
        received_at=world.now,
        body={"kind": "event", "name": "release-activated", "detail": "board-inspection-2"},
    )


@lru_cache
def latency_bodies() -> dict[str, Any]:
    values = [6 + (step % 11) * 0.7 + (step % 37 == 0) * 14 for step in range(300)]
    return {
        "total": ExponentialHistogram.of(values).model_dump(mode="json"),
        "defects": ExponentialHistogram.of([v * 0.8 for v in values]).model_dump(mode="json"),
    }


def add_hour(world: World, device: Device, hour: datetime, failed: int) -> None:
    HourSummary.objects.create(
        device=device,
        camera="top",
        release_sha256=digest_of("running"),
        hour=hour,
        frames=400,
        passed=400 - failed,
        failed=failed,
        lost={"camera_slow": 2},
        latency_ms=latency_bodies(),
        updated_at=world.now,
    )


def add_health(world: World, device: Device, seq: int) -> None:
    TelemetryRecord.objects.create(
        device=device,
        boot_id=uuid.UUID(int=1),
        seq=seq,
        kind="health",
        captured_at=world.ago(minutes=31 - seq),
        received_at=world.now,
        body={
            "kind": "health",
            "cpu_share": 0.3 + (seq * 7 % 13) / 40,
            "memory_used_share": 0.52,
            "temperature_c": 58.0 + seq % 6,
            "disk_free_bytes": 41_000_000_000,
            "throttled": False,
            "agent_rss_bytes": 61_000_000,
            "child_rss_bytes": 143_000_000,
        },
    )
