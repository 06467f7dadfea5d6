"""What a gate may know, and what it answers: messages that are stored and can be replayed."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from inference_core.contract.base import Message
from inference_core.contract.histogram import ExponentialHistogram
from inference_core.contract.telemetry import Count
from inference_core.contract.words import FailureCause

INCONCLUSIVE = frozenset({str(FailureCause.NO_FRAMES)})
"""Causes that say nothing about the release: its device saw too little. A release that crashes,
hangs or breaks the network has causes of its own, and those are failures.
"""

Word = Literal["pass", "hold", "fail"]


class ProfileLatency(Message):
    """Latency of whole frames on one hardware profile, in milliseconds."""

    candidate: ExponentialHistogram = ExponentialHistogram()
    baseline: ExponentialHistogram = Field(
        default=ExponentialHistogram(),
        description="At the same time, of devices that still run the previous release.",
    )
    throttled: Count = Field(
        default=0, description="Devices of the candidate that their board slowed down meanwhile."
    )
    baseline_throttled: Count = Field(default=0, description="The same of the baseline.")


class Evidence(Message):
    """A stage in figures. Each of its devices is in exactly one bucket up to ``removed``.

    ``outside_window`` is no bucket, but a part of ``in_flight``.
    ``running`` is committed *and* seen running the expected digest; ``unconfirmed`` is
    committed without that report. ``superseded`` and ``removed`` are in no denominator.
    """

    running: Count = 0
    unconfirmed: Count = 0
    in_flight: Count = Field(default=0, description="On their way, and in touch.")
    outside_window: Count = Field(
        default=0, description="Of those in flight: ready, and waiting for their line's window."
    )
    offline: Count = Field(default=0, description="On their way, and not heard of.")
    waiting: Count = Field(default=0, description="Without a slot yet.")
    failed: dict[str, Count] = Field(default_factory=dict, description="Devices by cause.")
    inconclusive: dict[str, Count] = Field(
        default_factory=dict, description="Devices that ended without a verdict, by cause."
    )
    skipped: Count = Field(default=0, description="Offline past the deadline, left behind.")
    superseded: Count = 0
    removed: Count = 0
    uncertified: Count = Field(default=0, description="Of those waiting: no signed release.")
    soak_s: Count = 0
    frames: Count = Field(default=0, description="Judged by devices of the stage.")
    fewest_frames: Count = Field(default=0, description="Of the running device with the fewest.")
    faults: dict[str, Count] = Field(default_factory=dict, description="Frames by cause.")
    latency_ms: dict[str, ProfileLatency] = Field(default_factory=dict, description="By profile.")

    @property
    def failures(self) -> int:
        """Devices that failed, whatever the cause."""
        return sum(self.failed.values())

    @property
    def undecided(self) -> int:
        """Devices that ended without a verdict, whatever the cause."""
        return sum(self.inconclusive.values())

    @property
    def outcomes(self) -> int:
        """Devices whose end says something about the release."""
        return self.running + self.unconfirmed + self.failures

    @property
    def denominator(self) -> int:
        """Devices that the stage is judged by."""
        ended = self.outcomes + self.undecided
        return ended + self.in_flight + self.offline + self.waiting


class MetricLine(Message):
    """One line of the gate's table. ``n`` is how many devices or frames ``value`` rests on."""

    name: str
    value: float | None
    limit: float | None
    n: int
    verdict: Word
    why: str = Field(description="One sentence for a person.")


class GateVerdict(Message):
    """The worst line decides; ``reasons`` are the sentences of the lines that did."""

    word: Word
    reasons: tuple[str, ...]
    metrics: tuple[MetricLine, ...]


class Judgement(Message):
    """What ``Stage.verdict`` stores: judging ``evidence`` again gives ``verdict`` again."""

    evidence: Evidence
    verdict: GateVerdict
