"""Limits as they are kept: one rule for the child that builds and for whoever judges later."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from inference_core.contract.build import (
    BuildJob,
    BuildProgress,
    LatencyFigures,
    ParityCertificate,
    ParityLimits,
)
from inference_core.contract.parity import find_broken_limit, refuse_slow
from inference_core.contract.words import Precision
from inference_core.optimize import build as building
from tests.core.build_jobs import make_job, make_profile
from tests.core.onnx_models import brightness_model
from tests.core.test_optimize import make_figures

SLOW = LatencyFigures(p50_ms=9, p95_ms=48.2, runs=30)
share = st.floats(0, 1)
limits = st.builds(
    ParityLimits,
    min_metric_share=st.floats(0.01, 1),
    min_class_share=st.floats(0.01, 1),
    min_slice_share=st.floats(0.01, 1),
    min_agreement=share,
    min_reference_metric=share,
    max_score_shift=st.floats(0.001, 1),
    min_images=st.integers(1, 100),
    few_images=st.integers(1, 100),
    min_class_images=st.integers(1, 100),
    few_class_images=st.integers(1, 100),
    max_p95_ms=st.none() | st.floats(0.001, 1000),
)
figures = st.builds(
    make_figures,
    reference=share,
    share=share,
    per_class=st.dictionaries(st.sampled_from("ab"), st.tuples(st.floats(0.1, 1), share)),
    per_slice=st.dictionaries(st.sampled_from("cd"), st.tuples(st.floats(0.1, 1), share)),
    score_shift=share,
    agreement=share,
    images=st.integers(0, 100),
    class_images=st.dictionaries(st.sampled_from("ab"), st.integers(1, 100)),
)


def loosest(a: ParityLimits, b: ParityLimits) -> ParityLimits:
    """Of each limit the one that lets more through."""
    found: dict[str, Any] = {}
    for name in ParityLimits.model_fields:
        pair = getattr(a, name), getattr(b, name)
        if name == "max_p95_ms":
            found[name] = None if None in pair else max(pair)
        else:
            found[name] = max(pair) if name.startswith("max") else min(pair)
    return ParityLimits.model_validate(found)


@given(limits)
def test_limits_come_back_from_json_as_they_were(some: ParityLimits) -> None:
    assert ParityLimits.model_validate_json(some.to_json()) == some


@given(limits, limits, figures, st.none() | st.floats(0.001, 1000))
def test_what_keeps_limits_keeps_laxer_ones(
    some: ParityLimits, other: ParityLimits, of: Any, p95_ms: float | None
) -> None:
    latency = p95_ms and LatencyFigures(p50_ms=p95_ms, p95_ms=p95_ms, runs=5)
    if find_broken_limit("int8", of, latency or None, some) is None:
        assert find_broken_limit("int8", of, latency or None, loosest(some, other)) is None


def test_too_slow_is_told_in_a_sentence() -> None:
    sentence = "int8 took 48.2 ms (p95 of 30 runs on this hardware); at most 40 ms is allowed"
    assert refuse_slow("int8", SLOW, ParityLimits(max_p95_ms=40)) == sentence
    assert refuse_slow("int8", SLOW, ParityLimits(max_p95_ms=48.2)) is None
    assert refuse_slow("int8", SLOW, ParityLimits()) is None


def test_what_was_not_measured_is_not_fast() -> None:
    assert "not measured" in (refuse_slow("int8", None, ParityLimits(max_p95_ms=40)) or "")
    assert refuse_slow("int8", None, ParityLimits()) is None


@pytest.mark.parametrize("nonsense", [0, -1, float("nan"), float("inf")])
def test_no_speed_that_cannot_be_is_a_limit(nonsense: float) -> None:
    with pytest.raises(ValidationError):
        ParityLimits(max_p95_ms=nonsense)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"images": 2}, "golden set has 2 images"),
        ({"class_images": {"a": 1}}, "too few golden images show a (1)"),
        ({"reference": 0.1}, "the reference itself reaches 0.10"),
        ({"share": 0.5}, "int8 kept 50.0%"),
        ({}, "int8 took 48.2 ms"),
    ],
)
def test_every_kind_of_limit_is_judged_from_stored_figures(
    changes: dict[str, Any], words: str
) -> None:
    asked = ParityLimits(min_class_images=2, max_p95_ms=40)
    stored = make_figures(**{"class_images": {"a": 5}} | changes)
    assert words in (find_broken_limit("int8", stored, SLOW, asked) or "")


def run(folder: Path, p95s_ms: Mapping[str, float], monkeypatch: pytest.MonkeyPatch) -> Any:
    """A real build whose clock says what this test says."""

    def bench(sessions: Mapping[str, Any], *_: Any) -> dict[str, LatencyFigures]:
        return {
            name: LatencyFigures(p50_ms=1 if name == "int8" else 5, p95_ms=p95s_ms[name], runs=5)
            for name in sessions
        }

    monkeypatch.setattr(building, "bench", bench)
    profile = make_profile("onnxruntime", Precision.INT8, Precision.FP32)
    job: BuildJob = make_job(folder, brightness_model(), profile=profile, limits={"max_p95_ms": 40})
    events: list[BuildProgress] = []
    return building.run_build(job, events.append)


def test_the_next_candidate_is_taken_where_the_faster_one_has_a_slow_tail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = run(tmp_path, {"int8": 90, "fp32": 30}, monkeypatch)

    assert outcome.outcome == "succeeded", outcome.reason
    told = {str(one.precision): (one.outcome, one.reason) for one in outcome.candidates}
    assert told["fp32"][0] == "chosen"
    assert told["int8"][0] == "refused"
    assert "int8 took 90.0 ms" in told["int8"][1]
    certificate = outcome.certificate
    assert isinstance(certificate, ParityCertificate)
    assert certificate.limits.max_p95_ms == 40


def test_a_build_that_keeps_parity_and_is_too_slow_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = run(tmp_path, {"int8": 90, "fp32": 80}, monkeypatch)

    assert outcome.outcome == "refused"
    assert "fp32 took 80.0 ms" in outcome.reason
    assert outcome.certificate is None
    assert not list((tmp_path / "out").glob("*"))
