"""From the bytes of a batch to records, each readable or set aside with its problem. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any
from uuid import UUID

from pydantic import ValidationError
from pydantic_core import from_json

from inference_core.contract.histogram import ExponentialHistogram
from inference_core.contract.telemetry import (
    MAX_RECORDS_IN_BATCH,
    Gap,
    Record,
    ShadowSummary,
    Summary,
)
from server.lib import documents
from server.lib.errors import Invalid, Malformed

MAX_BATCH_BYTES = 1024 * 1024
MAX_SEQ = 2**53
"""Largest number that every JSON reader holds exactly."""
MAX_COUNT = 2**31
"""Of one record; far above any real hour, and far below what would overflow a sum of them."""
MAX_DOUBLINGS = 64
"""Between 1 and the furthest bucket of a histogram; a float would end at 1024."""
MAX_KEYS = 256
"""Causes or stages of one hour: a device that invents new ones cannot grow a row for ever."""


@dataclass(frozen=True)
class ReadRecord:
    """One record: ``record`` where it could be read, else ``problem`` says why it could not.

    It accounts for the sequence numbers from ``first_seq`` to ``seq``.
    """

    seq: int
    first_seq: int
    raw: Any
    record: Record | None = None
    problem: str = ""


@dataclass(frozen=True)
class ReadBatch:
    """A batch without a hole; single records in it may be poison."""

    boot_id: UUID
    records: tuple[ReadRecord, ...]

    @property
    def first_seq(self) -> int:
        """The first sequence number that this batch accounts for."""
        return self.records[0].first_seq

    @property
    def last_seq(self) -> int:
        """The last one: acknowledged when all is stored."""
        return self.records[-1].seq


def read_batch(body: bytes) -> ReadBatch:
    """Read each record by itself, so that one poison record does not hold up the others.

    Raises Malformed where ``body`` is no JSON (or too deep), Invalid where boot_id, the list or
    a sequence number cannot be read: then nobody could say what to acknowledge.
    """
    try:
        document = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise Malformed(f"The batch is not JSON: {error}") from None
    boot_id, raws = _read_envelope(document)
    records = tuple(_read_record(raw) for raw in raws)
    for before, record in pairwise(records):
        if record.first_seq != before.seq + 1:
            raise Invalid(f"Record {record.seq} does not follow record {before.seq}.")
    return ReadBatch(boot_id, records)


def _read_envelope(document: Any) -> tuple[UUID, list[Any]]:
    if not isinstance(document, dict):
        raise Invalid("A batch is a JSON object with boot_id and records.")
    try:
        boot_id = UUID(str(document.get("boot_id")))
    except ValueError:
        raise Invalid("boot_id must be a UUID.") from None
    records = document.get("records")
    if not isinstance(records, list) or not 1 <= len(records) <= MAX_RECORDS_IN_BATCH:
        raise Invalid(f"records must be a list of 1 to {MAX_RECORDS_IN_BATCH}.")
    return boot_id, records


def _read_record(raw: Any) -> ReadRecord:
    seq = _seq(raw.get("seq") if isinstance(raw, dict) else None)
    first_seq = _first_seq(raw.get("body"), seq)
    try:
        record = _check(Record.model_validate(raw))
    except Invalid as error:
        problem = error.detail
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        problem = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    except (ValueError, OverflowError) as error:
        problem = str(error)
    else:
        return ReadRecord(seq, first_seq, raw, record)
    return ReadRecord(seq, first_seq, raw, problem=problem)


def _seq(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_SEQ:
        raise Invalid(f"Every record needs a seq from 1 to {MAX_SEQ}.")
    return value


def _first_seq(body: Any, seq: int) -> int:
    """A gap accounts for a range, also one that is poison otherwise; all else for itself."""
    if not isinstance(body, dict) or body.get("kind") != "gap":
        return seq
    first = body.get("first_seq")
    return first if isinstance(first, int) and 1 <= first <= seq else seq


def _check(record: Record) -> Record:
    """What the contract allows and a database would choke on; ValueError says what."""
    # One such record would take its whole batch down. As JSON, what is infinite is null.
    documents.require_storable(from_json(record.to_json()))
    record.captured_at.astimezone(UTC)  # OverflowError at the ends of time
    if isinstance(record.body, Gap) and record.body.last_seq != record.seq:
        raise ValueError("a gap has the sequence number of the last record it replaces")
    if isinstance(record.body, Summary):
        _check_summary(record.body)
    if isinstance(record.body, ShadowSummary):
        _check_shadow(record.body)
    return record


def _check_summary(summary: Summary) -> None:
    hour_of(summary.hour)
    counts = [summary.frames, *summary.verdicts.values()]
    counts += [*summary.lost.values(), *summary.faults.values()]
    for histogram in summary.latency_ms.values():
        counts += _counts_of(histogram)
    if summary.signals is not None:
        counts += _counts_of(summary.signals.sharpness)
        shares = [summary.signals.luma, summary.signals.clipped_share]
        shares += summary.signals.confidence.values()
        counts += [count for histogram in shares for count in histogram.counts.values()]
    _check_counts(counts)


def _check_shadow(shadow: ShadowSummary) -> None:
    hour_of(shadow.hour)
    agreed = shadow.both_pass + shadow.both_fail
    if agreed + shadow.only_release_fails + shadow.only_shadow_fails != shadow.pairs:
        raise ValueError("the four ways in which two releases judge do not add up to the pairs")
    counts = [shadow.pairs, shadow.skipped, *shadow.faults.values()]
    _check_counts(counts + _counts_of(shadow.latency_ms))


def _check_counts(counts: list[int]) -> None:
    if not 0 <= min(counts) <= max(counts) <= MAX_COUNT:
        raise ValueError(f"a count is below zero or above {MAX_COUNT}")


def _counts_of(histogram: ExponentialHistogram) -> list[int]:
    furthest = max(map(abs, histogram.buckets), default=0)
    if furthest >= MAX_DOUBLINGS << histogram.scale:
        raise ValueError("a bucket lies beyond all that is measured")
    return [histogram.zeros, *histogram.buckets.values(), histogram.sum_micro // 10**9]


def hour_of(moment: datetime) -> datetime:
    """The UTC hour that ``moment`` lies in; without an offset it is taken as UTC."""
    return utc(moment).replace(minute=0, second=0, microsecond=0)


def utc(moment: datetime) -> datetime:
    """``moment`` in UTC; without an offset it is taken as UTC already."""
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC)
