from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import jaccard_score

from inference_core.metrics import ConfusionMatrix, character_accuracy, edit_distance


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
