"""The judge of a candidate: limits and what was seen, to pending, passed or failed. No I/O."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from inference_core.contract.device import ProbationLimits, ProgressError
from inference_core.contract.histogram import ExponentialHistogram
from inference_core.contract.results import FrameResult
from inference_core.contract.words import FailureCause


@dataclass
class Observations:
    """What a candidate has shown on live frames so far."""

    elapsed_s: float = 0.0
    silent_s: float = 0.0
    rss_bytes: int | None = None
    failure: ProgressError | None = None
    frames: int = 0
    faults: int = 0
    first_fault: FailureCause | None = None
    is_compared: bool = False
    pairs: int = 0
    agreements: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    latency_ms: ExponentialHistogram = field(default_factory=ExponentialHistogram)

    def add(self, result: FrameResult) -> None:
        """Count a judged frame."""
        self.frames += 1
        self.latency_ms = self.latency_ms.merge(ExponentialHistogram.of([result.latency_ms]))
        if result.fault:
            self.faults += 1
            self.first_fault = self.first_fault or result.fault

    def compare(self, said: FrameResult, old: FrameResult | None) -> None:
        """Count what the release before said of the same frame, unless it could not judge it."""
        if old is not None and old.fault is None:
            self.pairs += 1
            self.agreements += said.verdict is old.verdict


@dataclass(frozen=True)
class Judgement:
    """``error`` is set exactly when the candidate failed."""

    word: Literal["pending", "passed", "failed"]
    error: ProgressError | None = None


PENDING = Judgement("pending")
PASSED = Judgement("passed")


def judge(limits: ProbationLimits, seen: Observations) -> Judgement:
    """Failures are judged before success: many good frames do not outweigh a bad one."""
    error = (
        seen.failure
        or _judge_faults(limits, seen)
        or _judge_silence(limits, seen)
        or _judge_memory(limits, seen)
    )
    if error is None and seen.frames >= limits.min_frames:
        error = _judge_speed(limits, seen)
        is_comparable = not _is_compared(limits, seen) or seen.pairs >= limits.min_frames
        if error is None and is_comparable:
            error = _judge_agreement(limits, seen)
            if error is None:
                return PASSED
    if error is None and seen.elapsed_s > limits.max_duration_s:
        error = _too_few_frames(limits, seen)
    return Judgement("failed", error) if error else PENDING


def _judge_faults(limits: ProbationLimits, seen: Observations) -> ProgressError | None:
    if seen.faults <= limits.max_faults:
        return None
    return ProgressError(
        cause=seen.first_fault or FailureCause.OTHER,
        detail=f"the model failed on {seen.faults} of {seen.frames} frames, "
        f"{limits.max_faults} are allowed",
    )


def _judge_silence(limits: ProbationLimits, seen: Observations) -> ProgressError | None:
    if seen.silent_s <= limits.max_silence_s:
        return None
    return ProgressError(
        cause=FailureCause.HUNG,
        detail=f"the inference process said nothing for {seen.silent_s:.0f} s, "
        f"{limits.max_silence_s:g} s are allowed",
    )


def _judge_memory(limits: ProbationLimits, seen: Observations) -> ProgressError | None:
    if not limits.max_rss_bytes or not seen.rss_bytes or seen.rss_bytes <= limits.max_rss_bytes:
        return None
    return ProgressError(
        cause=FailureCause.OUT_OF_MEMORY,
        detail=f"the inference process holds {seen.rss_bytes} bytes, "
        f"{limits.max_rss_bytes} are allowed",
    )


def _judge_speed(limits: ProbationLimits, seen: Observations) -> ProgressError | None:
    p95_ms = seen.latency_ms.quantile(0.95)
    if limits.max_p95_ms is None or p95_ms is None or p95_ms <= limits.max_p95_ms:
        return None
    return ProgressError(
        cause=FailureCause.TOO_SLOW,
        detail=f"95 % of {seen.frames} frames took up to {p95_ms:.1f} ms, "
        f"{limits.max_p95_ms:g} ms are allowed",
    )


def _is_compared(limits: ProbationLimits, seen: Observations) -> bool:
    """A first release has none before it to agree with."""
    return limits.min_agreement is not None and seen.is_compared


def _judge_agreement(limits: ProbationLimits, seen: Observations) -> ProgressError | None:
    if not _is_compared(limits, seen) or limits.min_agreement is None:
        return None
    if seen.agreements >= limits.min_agreement * seen.pairs:
        return None
    return ProgressError(
        cause=FailureCause.DISAGREES,
        detail=f"it agrees with the release before it on {seen.agreements} of {seen.pairs} "
        f"frames ({seen.agreements / seen.pairs:.1%}), {limits.min_agreement:.1%} are wanted",
    )


def _too_few_frames(limits: ProbationLimits, seen: Observations) -> ProgressError:
    lost = ", ".join(f"{count} × {cause}" for cause, count in sorted(seen.lost.items()))
    return ProgressError(
        cause=FailureCause.NO_FRAMES,
        detail=f"{seen.frames} of {limits.min_frames} frames within {limits.max_duration_s:g} s"
        + (f"; lost: {lost}" if lost else "")
        + _too_few_pairs(limits, seen),
    )


def _too_few_pairs(limits: ProbationLimits, seen: Observations) -> str:
    if not _is_compared(limits, seen):
        return ""
    return f"; the release before it judged {seen.pairs} of {limits.min_frames} of them too"
