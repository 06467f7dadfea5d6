"""Ingest: lock, insert above the cursor only, commit, then acknowledge."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction
from pydantic_core import from_json

from inference_core.contract.signals import Signals
from inference_core.contract.telemetry import Gap, ShadowSummary, Summary
from server.fleet.models import Device
from server.lib import clock
from server.lib.errors import Conflict
from server.telemetry.models import Cursor, HourSummary, QuarantinedRecord, TelemetryRecord
from server.telemetry.reading import MAX_KEYS, ReadBatch, ReadRecord, hour_of, utc
from server.telemetry.selectors import add_counts, merge_latencies, read_latencies
from server.telemetry.shadows import ShadowMerge

_HourKey = tuple[str, str, datetime]


@dataclass
class _Writing:
    """What one batch adds, collected before the first insert."""

    device: Device
    batch: ReadBatch
    received_at: datetime
    hours: dict[_HourKey, HourSummary]
    shadows: ShadowMerge
    touched: dict[_HourKey, HourSummary] = field(default_factory=dict)
    records: list[TelemetryRecord] = field(default_factory=list)
    poison: list[QuarantinedRecord] = field(default_factory=list)


@transaction.atomic
def store_batch(*, device: Device, batch: ReadBatch) -> int:
    """Store what is new of ``batch``; returns the sequence number up to which all is stored.

    The acknowledgement may be sent when this returns outside any other transaction. Conflict,
    with ``acked_seq``, where records between the cursor and the batch were never accounted for.
    """
    # One batch of a device at a time, whatever its boot: the hours are merged, not appended.
    Device.objects.select_for_update(no_key=True).get(pk=device.pk)
    now = clock.now()
    cursor, _ = Cursor.objects.get_or_create(
        device=device, boot_id=batch.boot_id, defaults={"updated_at": now}
    )
    if batch.first_seq > cursor.acked_seq + 1:
        raise Conflict(
            f"Records {cursor.acked_seq + 1} to {batch.first_seq - 1} are missing: send them "
            "first, or a gap in their place.",
            acked_seq=cursor.acked_seq,
        )
    fresh = [record for record in batch.records if record.seq > cursor.acked_seq]
    if not fresh:
        return cursor.acked_seq
    _write(_collect(device, batch, fresh, cursor.acked_seq, now))
    cursor.acked_seq, cursor.updated_at = batch.last_seq, now
    cursor.save(update_fields=["acked_seq", "updated_at"])
    return cursor.acked_seq


def _collect(
    device: Device, batch: ReadBatch, fresh: list[ReadRecord], acked_seq: int, now: datetime
) -> _Writing:
    bodies = [item.record.body for item in fresh if item.record]
    summaries = [body for body in bodies if isinstance(body, Summary)]
    shadows = ShadowMerge(device, (b for b in bodies if isinstance(b, ShadowSummary)), now)
    writing = _Writing(device, batch, now, _stored_hours(device, summaries), shadows)
    for item in fresh:
        if item.record is None:
            _set_aside(writing, item, item.problem)
        elif isinstance(item.record.body, Summary):
            _merge(writing, item, item.record.body)
        elif isinstance(item.record.body, ShadowSummary):
            _merge_shadow(writing, item, item.record.body)
        else:
            _append(writing, item, acked_seq)
    return writing


def _stored_hours(device: Device, summaries: list[Summary]) -> dict[_HourKey, HourSummary]:
    rows = HourSummary.objects.filter(
        device=device,
        hour__in={hour_of(summary.hour) for summary in summaries},
        release_sha256__in={summary.release_sha256 for summary in summaries},
    )
    return {(row.camera, row.release_sha256, row.hour): row for row in rows}


def _merge(writing: _Writing, item: ReadRecord, summary: Summary) -> None:
    key = (summary.camera, summary.release_sha256, hour_of(summary.hour))
    row = writing.hours.get(key) or HourSummary(
        device=writing.device, camera=key[0], release_sha256=key[1], hour=key[2]
    )
    try:
        figures = _figures(row, summary)
    except ValueError as error:
        return _set_aside(writing, item, str(error))
    row.frames += summary.frames
    row.passed += summary.verdicts.get("pass", 0)
    row.failed += summary.verdicts.get("fail", 0)
    row.lost, row.faults, row.latency_ms, row.signals = figures
    row.updated_at = writing.received_at
    writing.hours[key] = writing.touched[key] = row
    return None


def _merge_shadow(writing: _Writing, item: ReadRecord, summary: ShadowSummary) -> None:
    try:
        writing.shadows.add(summary)
    except ValueError as error:
        _set_aside(writing, item, str(error))


def _figures(row: HourSummary, summary: Summary) -> tuple[Any, Any, Any, Any]:
    """What ``row`` would hold of all that merges; ValueError leaves it untouched."""
    lost, faults, latencies = dict(row.lost), dict(row.faults), read_latencies(row.latency_ms)
    add_counts(lost, summary.lost)
    add_counts(faults, summary.faults)
    merge_latencies(latencies, summary.latency_ms)
    if max(len(lost), len(faults), len(latencies)) > MAX_KEYS:
        raise ValueError(f"the hour would have more than {MAX_KEYS} causes or stages")
    plain_latencies = {name: _plain(histogram) for name, histogram in latencies.items()}
    return lost, faults, plain_latencies, _merge_signals(row, summary)


def _merge_signals(row: HourSummary, summary: Summary) -> Any:
    if summary.signals is None:
        return row.signals
    return _plain(Signals.model_validate(row.signals or {}).merge(summary.signals))


def _append(writing: _Writing, item: ReadRecord, acked_seq: int) -> None:
    assert item.record is not None  # noqa: S101 - the caller has looked
    body = item.record.body
    if isinstance(body, Gap):
        # Part of it may have been stored before it was dropped there: that is no loss.
        body = body.model_copy(update={"first_seq": max(body.first_seq, acked_seq + 1)})
    writing.records.append(
        TelemetryRecord(
            device=writing.device,
            boot_id=writing.batch.boot_id,
            seq=item.seq,
            kind=body.kind,
            captured_at=utc(item.record.captured_at),
            received_at=writing.received_at,
            body=_plain(body),
        )
    )


def _set_aside(writing: _Writing, item: ReadRecord, problem: str) -> None:
    writing.poison.append(
        QuarantinedRecord(
            device=writing.device,
            boot_id=writing.batch.boot_id,
            seq=item.seq,
            received_at=writing.received_at,
            raw=json.dumps(item.raw),
            problem=problem,
        )
    )


def _write(writing: _Writing) -> None:
    new = [row for row in writing.touched.values() if row.pk is None]
    known = [row for row in writing.touched.values() if row.pk is not None]
    HourSummary.objects.bulk_create(new)
    HourSummary.objects.bulk_update(
        known,
        ["frames", "passed", "failed", "lost", "faults", "latency_ms", "signals", "updated_at"],
        batch_size=100,
    )
    writing.shadows.write()
    TelemetryRecord.objects.bulk_create(writing.records)
    QuarantinedRecord.objects.bulk_create(writing.poison)


def _plain(message: Any) -> Any:
    """A message as JSON data; by its JSON text, which turns infinities into null."""
    return from_json(message.to_json())
