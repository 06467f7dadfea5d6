"""What two releases said of the same frames, counted."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from device_agent.inference.pairs import ShadowPairs
from inference_core.contract.results import FrameResult, StageLatency, StageResult
from inference_core.contract.words import FailureCause, VerdictWord

OLD, NEW = "a" * 64, "b" * 64
HOUR = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)


def said(verdict: str, *, fault: FailureCause | None = None, **changes: Any) -> FrameResult:
    latency = StageLatency(preprocess=0, infer=1, postprocess=0, total=1)
    fields = {
        "camera": "top",
        "sequence": 1,
        "source": "part.png",
        "captured_at": HOUR.replace(minute=20),
        "width": 16,
        "height": 16,
        "verdict": VerdictWord(verdict),
        "stages": (StageResult(stage="defects", latency_ms=latency, fault=fault),),
        "latency_ms": 4.0,
        "budget_ms": 100.0,
    }
    return FrameResult.model_validate(fields | changes)


@pytest.mark.parametrize(
    ("release", "shadow", "cell"),
    [
        ("pass", "pass", "both_pass"),
        ("fail", "fail", "both_fail"),
        ("fail", "pass", "only_release_fails"),
        ("pass", "fail", "only_shadow_fails"),
    ],
)
def test_each_pair_falls_into_its_cell_of_mcnemars_table(
    release: str, shadow: str, cell: str
) -> None:
    pairs = ShadowPairs()
    pairs.add(OLD, said(release), NEW, said(shadow))
    (summary,) = pairs.flush()
    cells = ("both_pass", "both_fail", "only_release_fails", "only_shadow_fails")
    assert {name: getattr(summary, name) for name in cells} == {
        name: int(name == cell) for name in cells
    }
    assert (summary.pairs, summary.skipped) == (1, 0)
    assert (summary.release_sha256, summary.shadow_sha256) == (OLD, NEW)


def test_the_latency_and_the_faults_are_the_shadows() -> None:
    pairs = ShadowPairs()
    pairs.add(
        OLD,
        said("fail", fault=FailureCause.OTHER, latency_ms=1.0),
        NEW,
        said("fail", fault=FailureCause.NOT_FINITE, latency_ms=64.0),
    )
    (summary,) = pairs.flush()
    assert summary.faults == {"not_finite": 1}
    assert summary.latency_ms.mean == 64.0


def test_a_skipped_frame_is_no_pair() -> None:
    pairs = ShadowPairs()
    pairs.add(OLD, said("fail"), NEW, None)
    (summary,) = pairs.flush()
    assert (summary.pairs, summary.skipped, summary.latency_ms.count) == (0, 1, 0)


def test_cameras_hours_and_releases_are_counted_apart_and_every_flush_is_a_delta() -> None:
    pairs = ShadowPairs()
    for release, changes in (
        (OLD, {}),
        (OLD, {"camera": "side"}),
        (OLD, {"captured_at": HOUR.replace(hour=13)}),
        ("c" * 64, {}),
    ):
        pairs.add(release, said("pass", **changes), NEW, said("pass"))
    summaries = pairs.flush()
    assert len(summaries) == 4
    assert {summary.hour for summary in summaries} == {HOUR, HOUR.replace(hour=13)}
    assert sum(summary.pairs for summary in summaries) == 4
    assert pairs.flush() == []
