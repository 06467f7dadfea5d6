"""Shadow summaries of a batch, merged by the hour: sums, so that no order matters."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from pydantic_core import from_json

from inference_core.contract.histogram import ExponentialHistogram
from inference_core.contract.telemetry import ShadowSummary
from server.fleet.models import Device
from server.telemetry.models import ShadowHour
from server.telemetry.reading import MAX_KEYS, hour_of
from server.telemetry.selectors import SHADOW_COUNTS, add_counts

_Key = tuple[str, str, str, datetime]


class ShadowMerge:
    """Collects what one batch adds; ``write`` within the transaction that moves the cursor."""

    def __init__(
        self, device: Device, summaries: Iterable[ShadowSummary], received_at: datetime
    ) -> None:
        self._device, self._received_at = device, received_at
        self._hours = _stored(device, list(summaries))
        self._touched: dict[_Key, ShadowHour] = {}

    def add(self, summary: ShadowSummary) -> None:
        """Take one in; ValueError, where it does not merge, leaves everything as it was."""
        key = _key(summary)
        row = self._hours.get(key) or _new(self._device, key)
        faults = dict(row.faults)
        add_counts(faults, summary.faults)
        if len(faults) > MAX_KEYS:
            raise ValueError(f"the hour would have more than {MAX_KEYS} causes")
        row.latency_ms = from_json(_latency(row, summary).to_json())
        for name in SHADOW_COUNTS:
            setattr(row, name, getattr(row, name) + getattr(summary, name))
        row.faults, row.updated_at = faults, self._received_at
        self._hours[key] = self._touched[key] = row

    def write(self) -> None:
        """Insert what is new, update what was there."""
        new = [row for row in self._touched.values() if row.pk is None]
        known = [row for row in self._touched.values() if row.pk is not None]
        ShadowHour.objects.bulk_create(new)
        ShadowHour.objects.bulk_update(
            known,
            [*SHADOW_COUNTS, "faults", "latency_ms", "updated_at"],
            batch_size=100,
        )


def _key(summary: ShadowSummary) -> _Key:
    hour = hour_of(summary.hour)
    return summary.camera, summary.release_sha256, summary.shadow_sha256, hour


def _new(device: Device, key: _Key) -> ShadowHour:
    camera, release, shadow, hour = key
    return ShadowHour(
        device=device, camera=camera, release_sha256=release, shadow_sha256=shadow, hour=hour
    )


def _stored(device: Device, summaries: list[ShadowSummary]) -> dict[_Key, ShadowHour]:
    if not summaries:
        return {}
    rows = ShadowHour.objects.filter(
        device=device,
        hour__in={hour_of(summary.hour) for summary in summaries},
        shadow_sha256__in={summary.shadow_sha256 for summary in summaries},
    )
    return {(row.camera, row.release_sha256, row.shadow_sha256, row.hour): row for row in rows}


def _latency(row: ShadowHour, summary: ShadowSummary) -> ExponentialHistogram:
    if not row.latency_ms:
        return summary.latency_ms
    return ExponentialHistogram.model_validate(row.latency_ms).merge(summary.latency_ms)
