"""What rules may ask of each kind of stage."""

from __future__ import annotations

from typing import Any

import pytest

from inference_core.contract.pipeline import Stage
from inference_core.contract.results import (
    BoxResult,
    ClassResult,
    Counts,
    RegionResult,
    StageResult,
    TextBoxResult,
    TextLineResult,
)
from inference_core.pipeline.checks import check_pipeline
from inference_core.pipeline.expressions import answer
from inference_core.pipeline.findings import FINDINGS, Findings, find_nothing, present
from inference_core.pipeline.questions import Unanswerable
from inference_core.pipeline.rules import find_failures
from tests.core.task_models import MANIFESTS, classifier, spec_of

SQUARE = ((0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (0.0, 10.0))


def box(label: str, score: float, side: float) -> BoxResult:
    return BoxResult(label=label, class_id=0, score=score, xyxy=(0, 0, side, 2 * side))


def of(label: str, score: float) -> ClassResult:
    return ClassResult(label=label, class_id=0, score=score)


FOUND: dict[str, dict[str, Any]] = {
    "detect": {
        "boxes": (box("screw", 0.6, 10), box("nut", 0.9, 3), box("screw", 0.7, 2)),
        "counts": Counts(entered={"screw": 3, "nut": 1}, left={"nut": 2}, inside={}),
    },
    "classify": {"classes": (of("cracked", 0.7), of("good", 0.2), of("dirty", 0.1))},
    "anomaly": {
        "anomaly_score": 0.2,
        "regions": (RegionResult(label="anomaly", score=0.8, xyxy=(0, 0, 1, 1), area_px=50),),
    },
    "find_text": {
        "text_boxes": tuple(TextBoxResult(score=score, polygon=SQUARE) for score in (0.9, 0.6))
    },
    "read": {
        "lines": tuple(
            TextLineResult(text=text, score=0.9, polygon=SQUARE) for text in ("LOT", "AB12")
        )
    },
}


def findings(model: str, found: dict[str, Any] | None = None, **stage: Any) -> dict[str, Findings]:
    place = Stage.model_validate({"id": "s", "model": "m", **stage})
    result = find_nothing(place).model_copy(update=FOUND[model] if found is None else found)
    return {"s": present(place, result, MANIFESTS[model].decoder, None)}


@pytest.mark.parametrize(
    ("model", "expression"),
    [
        ("detect", "s.count() == 3 and s.count('screw') == 2 and s.ran"),
        ("detect", "s.label == 'nut' and s.score == 0.9 and s.confidence == 0.6"),
        ("detect", "s.largest_px == 200"),
        ("detect", "s.entered('screw') == 3 and s.entered() == 4 and s.left('screw') == 0"),
        ("detect", "s.left() == 2 and s.inside() == 0"),
        ("classify", "s.label == 'cracked' and s.score == 0.7 and s.confidence == 0.7"),
        ("classify", "s.probability('good') == 0.2 and s.probability('dirty') < 0.2"),
        ("anomaly", "s.score == 0.2 and s.confidence == 0.8"),
        ("anomaly", "s.count() == 1 and s.largest_px == 50"),
        ("find_text", "s.count() == 2 and s.score == 0.9 and s.confidence == 0.6"),
        ("find_text", "s.largest_px == 100"),
        ("read", "s.has_line('AB[0-9]+') and not s.matches('AB[0-9]+')"),
        ("read", "s.text == 'LOT AB12' and s.confidence == 0.9"),
    ],
)
def test_every_kind_answers_its_questions(model: str, expression: str) -> None:
    assert answer(expression, findings(model)) is True


@pytest.mark.parametrize(
    ("model", "expression"),
    [
        ("detect", "s.count('bolt') > 0"),
        ("detect", "s.entered('bolt') > 0"),
        ("classify", "s.probability('bent') > 0"),
        ("read", "s.has_line('(a+)+')"),
    ],
)
def test_a_class_that_the_model_does_not_know_is_never_none_of_it(
    model: str, expression: str
) -> None:
    with pytest.raises(ValueError, match=r"no class|repeats a group"):
        answer(expression, findings(model))


def test_a_class_below_the_top_is_not_known_so_its_part_does_not_pass() -> None:
    rules = spec_of([{"id": "s", "model": "classify"}], "s.probability('dirty') > 0.05")
    (reason,) = find_failures(rules, findings("classify", {"classes": (of("good", 0.9),)}))
    assert "raise the decoder's `top`" in reason


@pytest.mark.parametrize("model", sorted(MANIFESTS))
def test_where_nothing_is_found_it_is_not_sure_of_anything(model: str) -> None:
    nothing = findings(model, {"skipped": True})
    assert answer("s.score == 0 and s.confidence == 0 and not s.ran", nothing)


def test_figures_that_are_not_numbers_never_pass() -> None:
    nan = findings("anomaly", {"anomaly_score": float("nan")})
    rules = spec_of([{"id": "s", "model": "anomaly"}], "s.score > 0.5")
    (reason,) = find_failures(rules, nan)
    assert "not a number" in reason


def test_only_a_stage_that_tracks_can_say_what_it_counted() -> None:
    with pytest.raises(Unanswerable, match="give it `track`"):
        answer("s.entered() > 0", findings("detect", {}))


def test_every_kind_of_decoder_has_findings() -> None:
    kinds = {manifest.decoder.kind for manifest in MANIFESTS.values()}
    assert kinds <= set(FINDINGS)
    assert all("ran" in kind.QUESTIONS for kind in FINDINGS.values())


@pytest.mark.parametrize("model", sorted(MANIFESTS))
def test_every_question_can_be_asked_in_a_rule(model: str) -> None:
    arguments = {"probability": "'good'", "matches": "'a'", "has_line": "'a'"}
    calls = {"count", "entered", "left", "inside", *arguments}
    track = {"line": [[0, 0.5], [1, 0.5]]}
    stage = {"id": "s", "model": model, **({"track": track} if model == "detect" else {})}
    for question in sorted(FINDINGS[MANIFESTS[model].decoder.kind].QUESTIONS):
        asked = f"s.{question}({arguments.get(question, '')})" if question in calls else question
        rule = f"{asked if '.' in asked else f's.{asked}'} == 12345"
        spec = spec_of([stage], rule)
        assert check_pipeline(spec, {"s": MANIFESTS[model].decoder}) == []
        assert check_pipeline(spec) == []


def test_labels_with_gaps_are_listed_without_them() -> None:
    manifest = classifier(labels=["good", "", "dirty"])
    stage = Stage(id="s", model="m")
    kind = present(
        stage,
        StageResult(stage="s", latency_ms=find_nothing(stage).latency_ms),
        manifest.decoder,
        None,
    )
    with pytest.raises(Unanswerable, match="only good, dirty"):
        answer("s.probability('cracked') > 0", {"s": kind})
