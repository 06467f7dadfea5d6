"""How close a frame was to another answer."""

from __future__ import annotations

from typing import Any

import pytest

from inference_core.contract.manifest import ModelManifest
from inference_core.contract.results import FrameResult
from inference_core.pipeline.sampling.uncertainty import WIDTH, find_limits, weigh_uncertainty
from tests.core.sampling.world import DETECTOR, manifest, release, result

CLASSIFIER = manifest(
    "classification", {"kind": "classify", "output": "classes", "labels": ["good", "bad"]}
)
READER = manifest("text_recognition", {"kind": "ctc", "output": "characters", "alphabet": ["a"]})
ANOMALY = manifest("anomaly", {"kind": "anomaly", "map_output": "map", "threshold": 0.3})
PLACES = manifest("text_detection", {"kind": "text_boxes", "output": "map", "box_threshold": 0.6})


def weigh(seen: FrameResult, model: ModelManifest = DETECTOR, **stage: Any) -> float:
    return weigh_uncertainty(seen, find_limits(release(model, **stage)))


def classes(*scores: float) -> FrameResult:
    named = [
        {"label": f"c{place}", "class_id": place, "score": score}
        for place, score in enumerate(scores)
    ]
    return result(classes=named)


@pytest.mark.parametrize(
    ("score", "weight"), [(0.4, 1), (0.4 + WIDTH / 2, 0.5), (0.4 + WIDTH, 0), (0.95, 0)]
)
def test_a_box_is_uncertain_near_the_detectors_limit(score: float, weight: float) -> None:
    assert weigh(result(score)) == pytest.approx(weight)


def test_a_class_with_a_limit_of_its_own_is_held_against_that() -> None:
    assert weigh(result(0.7, label="dent")) == 1
    assert weigh(result(0.4, label="dent")) == 0


def test_the_least_certain_finding_counts() -> None:
    assert weigh(result(0.95, 0.4, 0.9)) == 1


def test_nothing_found_is_certain_as_far_as_can_be_known() -> None:
    assert weigh(result()) == 0


def test_two_likely_classes_are_uncertain() -> None:
    assert weigh(classes(0.41, 0.4, 0.1), CLASSIFIER, fail="look.label == 'bad'") > 0.9
    assert weigh(classes(0.9, 0.1), CLASSIFIER, fail="look.label == 'bad'") == 0


def test_a_score_near_what_a_rule_or_a_cascade_asks_for_is_uncertain() -> None:
    rule = {"fail": "look.label == 'bad' or look.confidence < 0.85"}
    assert weigh(classes(0.85, 0.1), CLASSIFIER, **rule) == 1
    assert weigh(result(0.92), escalate_when="confidence < 0.92") == 1


def test_other_numbers_of_a_rule_are_no_limits() -> None:
    assert weigh(result(0.9), fail="look.count() > 0.9") == 0


def test_a_line_of_text_is_held_against_an_even_chance_where_no_rule_says_more() -> None:
    line = {"text": "a", "score": 0.5, "polygon": ()}
    assert weigh(result(lines=[line]), READER, fail="look.text == ''") == 1
    assert weigh(result(lines=[line]), READER, fail="look.score < 0.9") == 0


def test_anomalies_and_places_of_text_have_limits_too() -> None:
    assert weigh(result(anomaly_score=0.3), ANOMALY, fail="look.score > 0.3") == 1
    place = {"score": 0.6, "polygon": ()}
    assert weigh(result(text_boxes=[place]), PLACES, fail="look.count() > 1") == 1
