"""What a device tells of its work. Kept on the device until the server has acknowledged it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Union
from uuid import UUID

from pydantic import Field, model_validator

from inference_core.contract.base import Message, Sha256, Slug, added
from inference_core.contract.histogram import ExponentialHistogram
from inference_core.contract.results import FrameResult
from inference_core.contract.sampling import PHash, SampleReason
from inference_core.contract.signals import Signals

MAX_RECORDS_IN_BATCH = 500
MAX_SAMPLE_BYTES = 8 * 1024 * 1024
MAX_LOGS_BYTES = 8 * 1024 * 1024

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


CameraState = Literal["ok", "no_input", "corrupt_image", "too_late", "unknown"]
"""What the newest frame of a camera was; unknown: none was due for a while."""


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
    temperatures_c: dict[str, float] = added({}, description="By sensor, as the board names it.")
    power_w: float | None = added(
        None, description="What the whole board draws; of a PC, at least its processors."
    )
    gpu_share: float | None = added(None)
    throttle_reasons: tuple[Slug, ...] = added((), description="Why, where throttled is true.")
    cameras: dict[Slug, CameraState] = added({})
    child_starts: int | None = added(None, ge=0, description="Since the agent's own start.")


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
    reason: Literal["disk_full", "corrupt", "refused", "forgotten"] = Field(
        description="refused: the server never takes it. forgotten: it had taken it, and was "
        "restored from a backup since."
    )


class ShadowSummary(Message):
    """How often two releases differed on the same frames of one camera in one UTC hour.

    ``pairs`` is every frame that both judged; what McNemar's test needs are the two ways of
    differing. ``skipped`` frames were shared and not judged: the candidate had no time for them.
    """

    kind: Literal["shadow"] = "shadow"
    hour: datetime
    camera: Slug
    release_sha256: Sha256 = Field(description="The release that decides.")
    shadow_sha256: Sha256
    pairs: Count
    both_pass: Count = 0
    both_fail: Count = 0
    only_release_fails: Count = 0
    only_shadow_fails: Count = 0
    skipped: Count = 0
    faults: dict[str, Count] = Field(default_factory=dict, description="Of the shadow, by cause.")
    latency_ms: ExponentialHistogram = Field(description="Of the shadow, whole frame.")


AnyBody = Union[Summary, Health, Event, Gap, ShadowSummary]
Body = Annotated[AnyBody, Field(discriminator="kind")]


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
    reason: SampleReason = "random"
    result: FrameResult
    phash: PHash | None = added(None, description="For near duplicates across devices.")


class LogsMeta(Message):
    """``POST logs``, field ``meta``; field ``bundle`` is a ZIP of text files."""

    request: UUID
    sha256: Sha256
