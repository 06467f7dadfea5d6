"""The judge of candidates."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from device_agent.probation import Observations, judge
from inference_core.contract.device import ProbationLimits, ProgressError
from inference_core.contract.histogram import ExponentialHistogram
from inference_core.contract.results import FrameResult
from inference_core.contract.words import FailureCause
from tests.agent.test_pairs import said

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


AGREEING = LIMITS.model_copy(update={"min_agreement": 0.9})


def compared(pairs: int, agreements: int, frames: int = 10, **changes: Any) -> Observations:
    return seen(frames, is_compared=True, pairs=pairs, agreements=agreements, **changes)


@pytest.mark.parametrize(
    ("observed", "word"),
    [
        (compared(10, 10), "passed"),
        (compared(10, 9), "passed"),  # exactly what is wanted
        (compared(10, 8), "failed"),
        (compared(1000, 899, 1000), "failed"),
        (compared(9, 0), "pending"),  # too few to say anything
        (compared(9, 9, 5000), "pending"),
    ],
)
def test_agreement_is_judged_over_enough_pairs(observed: Observations, word: str) -> None:
    assert judge(AGREEING, observed).word == word


def test_whoever_disagrees_is_told_how_often() -> None:
    error = judge(AGREEING, compared(10, 8)).error
    assert error is not None
    assert error.cause is FailureCause.DISAGREES
    assert "8 of 10" in error.detail


def test_too_few_pairs_by_the_deadline_are_a_failure_that_says_what_was_missing() -> None:
    observed = compared(3, 3)
    observed.elapsed_s = 61
    error = judge(AGREEING, observed).error
    assert error is not None
    assert error.cause is FailureCause.NO_FRAMES
    assert "3 of 10 of them" in error.detail


def test_a_first_release_has_nobody_to_agree_with() -> None:
    assert judge(AGREEING, seen()).word == "passed"


def test_agreement_does_not_outweigh_slowness() -> None:
    error = judge(AGREEING, compared(10, 10, latency_ms=60)).error
    assert error is not None
    assert error.cause is FailureCause.TOO_SLOW


@pytest.mark.parametrize(
    ("old", "pairs", "agreements"),
    [
        (said("pass"), 1, 1),
        (said("fail"), 1, 0),
        (said("fail", fault=FailureCause.NOT_FINITE), 0, 0),
        (None, 0, 0),
    ],
    ids=["same", "other", "the old one faulted", "it had no time"],
)
def test_only_what_the_old_release_could_judge_is_compared(
    old: FrameResult | None, pairs: int, agreements: int
) -> None:
    observed = Observations()
    observed.compare(said("pass"), old)
    assert (observed.pairs, observed.agreements) == (pairs, agreements)
