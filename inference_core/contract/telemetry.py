"""What a device tells of its work. Kept on the device until the server has acknowledged it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Union
from uuid import UUID

from pydantic import Field, model_validator

from inference_core.contract.base import Message, Sha256, Slug
from inference_core.contract.histogram import ExponentialHistogram
from inference_core.contract.results import FrameResult
from inference_core.contract.signals import Signals

MAX_RECORDS_IN_BATCH = 500
MAX_SAMPLE_BYTES = 8 * 1024 * 1024

Count = Annotated[int, Field(ge=0)]


class Summary(Message):
    """Mergeable statistics of one camera under one release within one UTC hour."""

    kind: Literal["summary"] = "summary"
    hour: datetime
    camera: Slug
    release_sha256: Sha256
    frames: Count
    verdicts: dict[Literal["pass", "fail"], Count] = Field(default_factory=dict)
    lost: dict[str, Count] = Field(default_factory=dict, description="Frames by cause.")
    faults: dict[str, Count] = Field(default_factory=dict, description="Model failures by cause.")
    latency_ms: dict[str, ExponentialHistogram] = Field(
        default_factory=dict, description="By stage; 'total' is the whole frame."
    )
    signals: Signals | None = None


class Health(Message):
    """How the box is. None is unknown, never zero."""

    kind: Literal["health"] = "health"
    cpu_share: float | None = None
    memory_used_share: float | None = None
    disk_free_bytes: int | None = None
    temperature_c: float | None = None
    throttled: bool | None = None
    agent_rss_bytes: int | None = None
    child_rss_bytes: int | None = None
    uptime_s: float | None = None


class Event(Message):
    """Something that a person may want to read: an edge, not a level."""

    kind: Literal["event"] = "event"
    name: Slug
    detail: str = Field(default="", max_length=2000)
    release_sha256: Sha256 | None = None


class Gap(Message):
    """Records that were dropped on the device, in the place where they stood."""

    kind: Literal["gap"] = "gap"
    first_seq: int = Field(ge=1)
    last_seq: int = Field(ge=1)
    reason: Literal["disk_full", "corrupt"]


Body = Annotated[Union[Summary, Health, Event, Gap], Field(discriminator="kind")]


class Record(Message):
    """One record of the outbox. A gap has the sequence number of the last record it replaces."""

    seq: int = Field(ge=1)
    captured_at: datetime
    body: Body


class Batch(Message):
    """``POST telemetry``. Sequence numbers grow by one, except across a gap record."""

    boot_id: UUID
    records: tuple[Record, ...] = Field(min_length=1, max_length=MAX_RECORDS_IN_BATCH)

    @model_validator(mode="after")
    def _sequence_has_no_hole(self) -> Batch:
        for before, record in zip(self.records, self.records[1:], strict=False):
            first = record.body.first_seq if isinstance(record.body, Gap) else record.seq
            if first != before.seq + 1:
                raise ValueError(f"record {record.seq} does not follow record {before.seq}")
        return self

    @property
    def first_seq(self) -> int:
        """The first sequence number that this batch accounts for."""
        first = self.records[0]
        return first.body.first_seq if isinstance(first.body, Gap) else first.seq


class BatchReply(Message):
    """Everything up to ``acked_seq`` is stored; only that may be deleted on the device."""

    acked_seq: int = Field(ge=0)


class SampleMeta(Message):
    """``POST samples``, field ``meta``; field ``image`` is the JPEG with digest ``sha256``."""

    sha256: Sha256
    release_sha256: Sha256
    inclusion_probability: float = Field(gt=0, le=1)
    reason: Literal["random", "uncertain", "disagreement", "diverse", "requested"] = "random"
    result: FrameResult
