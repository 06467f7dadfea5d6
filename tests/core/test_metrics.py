from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import (
    jaccard_score,
    recall_score,
    roc_auc_score,
    top_k_accuracy_score,
)

from inference_core.metrics import (
    ConfusionMatrix,
    DetectionPicture,
    SliceFigure,
    auroc,
    character_accuracy,
    count_text_boxes,
    edit_distance,
    measure_counting,
    measure_detection,
    measure_slices,
    measure_text_boxes,
    recall_by_class,
    top_k_accuracy,
)
from inference_core.metrics.overlap import box_iou, match_greedily, polygon_iou

GOLDEN = json.loads((Path(__file__).parent / "metrics_golden" / "metrics.json").read_text())
"""What other libraries say; ``make_metrics_golden.py`` beside it made it."""


@pytest.mark.parametrize("seed", range(5))
def test_iou_agrees_with_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth, prediction = rng.integers(0, 4, (2, 5, 20, 30))
    matrix = ConfusionMatrix(4)
    for one_truth, one_prediction in zip(truth, prediction, strict=True):
        matrix.add(one_truth, one_prediction)

    oracle = jaccard_score(truth.ravel(), prediction.ravel(), average=None)

    assert matrix.iou() == pytest.approx(oracle)
    assert matrix.mean_iou() == pytest.approx(oracle.mean())
    assert matrix.mean_iou(background=0) == pytest.approx(oracle[1:].mean())


def test_a_class_that_nobody_saw_does_not_count() -> None:
    matrix = ConfusionMatrix(3)
    matrix.add(np.array([[0, 1]]), np.array([[0, 1]]))

    assert np.isnan(matrix.iou()[2])
    assert matrix.mean_iou() == 1.0


def test_a_set_with_background_only_proves_nothing() -> None:
    matrix = ConfusionMatrix(2)
    matrix.add(np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint8))

    assert matrix.mean_iou(background=0) == 0.0


def test_it_refuses_a_class_outside_the_labels() -> None:
    with pytest.raises(ValueError, match="class 7"):
        ConfusionMatrix(3).add(np.array([[7]]), np.array([[0]]))


def test_it_refuses_pictures_of_different_sizes() -> None:
    with pytest.raises(ValueError, match="truth is"):
        ConfusionMatrix(3).add(np.zeros((2, 2), np.uint8), np.zeros((2, 3), np.uint8))


@pytest.mark.parametrize(
    ("truth", "reading", "edits"),
    [
        ("kitten", "sitting", 3),
        ("TDA1517P", "TDA1517P", 0),
        ("TDA1517P", "TDA151P", 1),
        ("TDA1517P", "TDA15I7P", 1),
        ("", "abc", 3),
        ("abc", "", 3),
        ("ab", "ba", 2),
    ],
)
def test_edits_are_counted_as_by_hand(truth: str, reading: str, edits: int) -> None:
    assert edit_distance(truth, reading) == edits


@given(st.text(max_size=12), st.text(max_size=12), st.text(max_size=12))
def test_the_edit_distance_is_a_metric(a: str, b: str, c: str) -> None:
    assert (edit_distance(a, b) == 0) == (a == b)
    assert edit_distance(a, b) == edit_distance(b, a)
    assert edit_distance(a, c) <= edit_distance(a, b) + edit_distance(b, c)


def test_character_accuracy_pools_the_edits_of_all_lines() -> None:
    assert character_accuracy([("abcdefgh", "abcdefgh"), ("ab", "xb")]) == pytest.approx(0.9)


def test_character_accuracy_never_falls_below_zero() -> None:
    assert character_accuracy([("a", "much too long")]) == 0.0


def test_reading_nothing_where_nothing_stands_is_right() -> None:
    assert character_accuracy([("", "")]) == 1.0
    assert character_accuracy([("", "ghost")]) == 0.0


def test_character_accuracy_is_one_minus_jiwers_cer() -> None:
    pairs = [(truth, reading) for truth, reading in GOLDEN["text"]["pairs"]]

    assert character_accuracy(pairs) == pytest.approx(1 - GOLDEN["text"]["cer"])


def make_pictures(case: dict[str, Any]) -> list[DetectionPicture]:
    pictures = []
    for picture in case["pictures"]:
        truth = np.array(picture["truth"], np.float64).reshape(-1, 5)
        found = np.array(picture["found"], np.float64).reshape(-1, 6)
        pictures.append(
            DetectionPicture(
                truth_class=truth[:, 0].astype(np.int64),
                truth_xyxy=truth[:, 1:],
                class_id=found[:, 0].astype(np.int64),
                score=found[:, 1],
                xyxy=found[:, 2:],
            )
        )
    return pictures


@pytest.mark.parametrize("case", GOLDEN["detection"])
def test_map_agrees_with_faster_coco_eval(case: dict[str, Any]) -> None:
    figures = measure_detection(make_pictures(case), class_count=4)

    assert figures.map == pytest.approx(case["map"], abs=1e-9)
    assert figures.map_50 == pytest.approx(case["map_50"], abs=1e-9)
    assert {str(name): value for name, value in figures.per_class.items()} == pytest.approx(
        case["per_class"], abs=1e-9
    )


def no_boxes(count: int = 0) -> dict[str, Any]:
    return {
        "class_id": np.zeros(count, np.int64),
        "score": np.ones(count),
        "xyxy": np.tile([0.0, 0, 9, 9], (count, 1)),
    }


def test_a_detector_that_finds_nothing_has_a_map_of_zero() -> None:
    truth = {"truth_class": np.array([0]), "truth_xyxy": np.array([[0.0, 0, 9, 9]])}

    assert measure_detection([DetectionPicture(**truth, **no_boxes())], 1).map == 0
    assert measure_detection([DetectionPicture(**truth, **no_boxes(1))], 1).map == pytest.approx(1)


def test_a_set_without_a_box_has_no_map() -> None:
    truth = {"truth_class": np.zeros(0, np.int64), "truth_xyxy": np.zeros((0, 4))}

    assert measure_detection([DetectionPicture(**truth, **no_boxes(1))], 1).map is None


@pytest.mark.parametrize("pair", GOLDEN["polygons"])
def test_the_overlap_of_polygons_agrees_with_shapely(pair: dict[str, Any]) -> None:
    ours, theirs = np.array(pair["ours"]), np.array(pair["theirs"])

    assert polygon_iou([ours], [theirs])[0, 0] == pytest.approx(pair["iou"], abs=1e-4)
    assert polygon_iou([ours[::-1]], [theirs])[0, 0] == pytest.approx(pair["iou"], abs=1e-4)


def test_boxes_overlap_like_polygons() -> None:
    rng = np.random.default_rng(3)
    low = rng.uniform(0, 50, (30, 2))
    boxes = np.concatenate([low, low + rng.uniform(1, 50, (30, 2))], axis=1)
    polygons = [boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)[n] for n in range(30)]

    np.testing.assert_allclose(
        box_iou(boxes[:15], boxes[15:]), polygon_iou(polygons[:15], polygons[15:]), atol=1e-4
    )
    assert box_iou(np.array([[5.0, 5, 5, 5]]), boxes).max() == 0


def test_each_thing_is_matched_once_and_the_best_pair_first() -> None:
    overlap = np.array([[0.6, 0.9], [0.0, 0.8], [0.55, 0.0]])

    assert match_greedily(overlap, 0.5) == [(0, 1), (2, 0)]
    assert match_greedily(np.zeros((0, 3)), 0.5) == []


@pytest.mark.parametrize("seed", range(5))
def test_auroc_agrees_with_scikit_learn_also_with_ties(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.random(200) < 0.3
    scores = np.round(rng.random(200) + 0.4 * truth, 1)

    assert auroc(truth.tolist(), scores.tolist()) == pytest.approx(roc_auc_score(truth, scores))


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=2))
def test_auroc_of_turned_scores_is_what_is_left_to_one(pairs: list[tuple[bool, float]]) -> None:
    truths = [truth for truth, _ in pairs]
    area = auroc(truths, [score for _, score in pairs])

    assert (area is None) == (len(set(truths)) == 1)
    if area is not None:
        assert auroc(truths, [-score for _, score in pairs]) == pytest.approx(1 - area)


@pytest.mark.parametrize("k", [1, 3])
def test_accuracy_agrees_with_scikit_learn(k: int) -> None:
    rng = np.random.default_rng(k)
    scores, truth = rng.random((100, 6)), rng.integers(0, 6, 100)
    rankings = [[str(name) for name in np.argsort(-row)] for row in scores]
    names = [str(name) for name in truth]

    assert top_k_accuracy(names, rankings, k) == pytest.approx(
        top_k_accuracy_score(truth, scores, k=k, labels=range(6))
    )
    recalls = recall_score(truth, scores.argmax(axis=1), average=None, labels=range(6))
    assert list(recall_by_class(names, rankings).values()) == pytest.approx(list(recalls))


def test_a_picture_without_an_answer_is_a_miss() -> None:
    assert top_k_accuracy(["a", "b"], [[], ["b"]]) == 0.5
    assert recall_by_class(["a", "b"], [[], ["b"]]) == {"a": 0.0, "b": 1.0}


def test_errors_in_counting_do_not_cancel_out() -> None:
    error = measure_counting([(10, 12), (10, 8), (20, 20)])

    assert (error.mean_absolute, error.share, error.exact) == pytest.approx((4 / 3, 0.1, 1 / 3))


def test_counting_ghosts_only_is_wholly_wrong() -> None:
    assert measure_counting([(0, 2)]).share == 1
    assert measure_counting([(0, 0)]).share == 0
    with pytest.raises(ValueError, match="needs a count"):
        measure_counting([])


def square(x: float, size: float = 10) -> np.ndarray:
    return np.array([[x, 0], [x + size, 0], [x + size, size], [x, size]], np.float64)


def test_one_found_box_over_two_texts_is_one_hit() -> None:
    counts = count_text_boxes([square(0), square(1)], [square(0.5)])

    assert (counts.hits, counts.found, counts.truth) == (1, 1, 2)
    assert measure_text_boxes([counts]) == pytest.approx(2 / 3)


def test_half_an_overlap_is_no_hit() -> None:
    assert count_text_boxes([square(0)], [square(5)]).hits == 0
    assert measure_text_boxes([count_text_boxes([], [])]) == 1.0
    assert measure_text_boxes([count_text_boxes([], [square(0)])]) == 0.0


def test_a_slice_with_few_images_has_a_count_and_no_figure() -> None:
    slices = [{"light": "day"}] * 8 + [{"light": "evening", "line": "2"}] * 7 + [{}]
    values = [1.0] * 8 + [0.0] * 8

    figures = measure_slices(values, slices, lambda items: sum(items) / len(items))

    assert figures == {
        "light=day": SliceFigure(1.0, 8),
        "light=evening": SliceFigure(None, 7),
        "line=2": SliceFigure(None, 7),
    }
