"""The judge of candidates."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from device_agent.probation import Observations, judge
from inference_core.contract.device import ProbationLimits, ProgressError
from inference_core.contract.histogram import ExponentialHistogram
from inference_core.contract.words import FailureCause

LIMITS = ProbationLimits(
    min_frames=10, max_duration_s=60, max_p95_ms=50, max_rss_bytes=1000, max_silence_s=5
)


def seen(frames: int = 10, latency_ms: float = 10.0, **changes: Any) -> Observations:
    latencies = ExponentialHistogram.of([latency_ms] * frames)
    return Observations(frames=frames, latency_ms=latencies, elapsed_s=20, **changes)


def test_enough_good_frames_pass() -> None:
    assert judge(LIMITS, seen()).word == "passed"


def test_too_few_frames_are_no_verdict_yet() -> None:
    assert judge(LIMITS, seen(9)).word == "pending"


@pytest.mark.parametrize(
    ("observed", "cause"),
    [
        (seen(faults=1, first_fault=FailureCause.NOT_FINITE), FailureCause.NOT_FINITE),
        (seen(1000, faults=1, first_fault=FailureCause.NOT_FINITE), FailureCause.NOT_FINITE),
        (seen(silent_s=5.1), FailureCause.HUNG),
        (seen(rss_bytes=1001), FailureCause.OUT_OF_MEMORY),
        (seen(latency_ms=60), FailureCause.TOO_SLOW),
        (
            seen(failure=ProgressError(cause=FailureCause.CRASHED, detail="it died")),
            FailureCause.CRASHED,
        ),
    ],
)
def test_many_good_frames_do_not_outweigh_a_breach(
    observed: Observations, cause: FailureCause
) -> None:
    judgement = judge(LIMITS, observed)
    assert judgement.word == "failed"
    assert judgement.error is not None
    assert judgement.error.cause is cause


def test_no_frames_within_the_time_is_a_failure_and_says_what_the_camera_did() -> None:
    observed = Observations(elapsed_s=61, lost=Counter(no_input=4))
    judgement = judge(LIMITS, observed)
    assert judgement.error is not None
    assert judgement.error.cause is FailureCause.NO_FRAMES
    assert "4 × no_input" in judgement.error.detail


def test_no_data_is_never_a_pass() -> None:
    assert judge(LIMITS, Observations()).word == "pending"


def test_slowness_is_judged_over_enough_frames_only() -> None:
    assert judge(LIMITS, seen(1, latency_ms=500)).word == "pending"
