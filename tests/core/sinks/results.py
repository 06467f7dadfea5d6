"""Frames and results for the sinks, and a patient look at what comes of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timezone

import numpy as np

from inference_core.contract.results import FrameResult, StageLatency, StageResult
from inference_core.contract.words import FailureCause, VerdictWord
from inference_core.pipeline.frames import Frame

CAPTURED_AT = datetime(2026, 11, 22, 12, 30, 5, 250_000, tzinfo=timezone.utc)
PATIENCE_S = 20.0


def frame(sequence: int = 0) -> Frame:
    picture = np.full((60, 80, 3), 90, np.uint8)
    return Frame("side", sequence, "part.jpg", CAPTURED_AT, 0.0, picture)


def result(
    sequence: int = 0, *, passed: bool = True, fault: FailureCause | None = None
) -> FrameResult:
    latency = StageLatency(preprocess=0, infer=1, postprocess=0, total=1)
    return FrameResult(
        camera="side",
        sequence=sequence,
        source="part.jpg",
        captured_at=CAPTURED_AT,
        width=80,
        height=60,
        verdict=VerdictWord.PASS if passed else VerdictWord.FAIL,
        reasons=() if passed else ("scratch or dent",),
        stages=(StageResult(stage="look", latency_ms=latency, fault=fault),),
        latency_ms=12.4,
        budget_ms=100,
    )


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline_s, "waited in vain"
        time.sleep(0.005)
