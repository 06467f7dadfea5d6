"""What all detectors share: thresholds, merging, and the way from the tensor to the frame."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from inference_core.decode.nms import suppress
from inference_core.decode.scores import MAX_CANDIDATES, choose_each
from inference_core.errors import DecodeFailed, NotFinite
from inference_core.image import prepare
from inference_core.results import Boxes
from tests.core.detectors import LABELS, detector, find, find_listed, listed, overlap, same_size

FINISHED = listed(threshold=0.5)


@st.composite
def crowds(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes on a coarse grid, so that they overlap and touch; scores never tie."""
    count = draw(st.integers(0, 25))
    corner = draw(hnp.arrays(np.float64, (count, 2), elements=st.integers(0, 12)))
    size = draw(hnp.arrays(np.float64, (count, 2), elements=st.integers(1, 8)))
    score = np.array(draw(st.permutations(range(1, count + 1))), np.float64) / (count + 1)
    class_id = draw(hnp.arrays(np.int64, count, elements=st.integers(0, 2)))
    return np.concatenate([corner, corner + size], axis=1), score, class_id


def merge_by_the_book(
    xyxy: np.ndarray, score: np.ndarray, class_id: np.ndarray | None, iou: float
) -> list[int]:
    kept: list[int] = []
    for index in np.argsort(-score, kind="stable").tolist():
        rivals = [other for other in kept if class_id is None or class_id[other] == class_id[index]]
        if all(overlap(xyxy[index], xyxy[other]) <= iou for other in rivals):
            kept.append(index)
    return kept


# Thirds and such would differ between single and double precision: no overlap of whole boxes is so.
IOUS = st.sampled_from([0.0, 0.123, 0.3141, 0.5, 0.7177, 1.0])


@settings(max_examples=300)
@given(crowds(), IOUS, st.booleans())
def test_merging_follows_its_definition(crowd: Any, iou: float, across: bool) -> None:
    xyxy, score, class_id = crowd
    classes = None if across else class_id
    expected = merge_by_the_book(xyxy, score, classes, iou)
    assert suppress(xyxy, score, classes, iou).tolist() == expected


@given(crowds(), IOUS)
def test_merging_twice_changes_nothing_more(crowd: Any, iou: float) -> None:
    xyxy, score, class_id = crowd
    once = suppress(xyxy, score, class_id, iou)
    again = suppress(xyxy[once], score[once], class_id[once], iou)
    assert again.tolist() == list(range(len(once)))


def test_of_equal_scores_the_first_stays() -> None:
    twice = np.array([[0, 0, 4, 4], [0, 0, 4, 4]], np.float64)
    assert suppress(twice, np.array([0.5, 0.5]), None, 0.5).tolist() == [0]


def test_scores_are_compared_in_double_precision() -> None:
    twice = np.array([[0, 0, 4, 4], [0, 0, 4, 4]], np.float64)
    assert suppress(twice, np.array([0.5, 0.5 + 1e-12]), None, 0.5).tolist() == [1]


def test_boxes_far_outside_do_not_blur_the_others() -> None:
    xyxy = np.array([[0, 0, 4, 4], [10, 10, 14, 14], [0, 0, 1e30, 1e30]])
    kept = suppress(xyxy, np.array([0.9, 0.8, 0.7]), np.array([2, 2, 1]), 0.5)
    assert kept.tolist() == [0, 1, 2]


def test_of_noise_only_the_best_candidates_go_on() -> None:
    scores = np.linspace(0.9, 0.3, 3 * MAX_CANDIDATES, dtype=np.float32).reshape(-1, 3)
    manifest = listed(labels=tuple("abc"), threshold=0.0)
    chosen = choose_each(scores, manifest.decoder)
    assert chosen.score.tolist() == scores.ravel()[:MAX_CANDIDATES].tolist()
    assert (chosen.row * 3 + chosen.class_id).tolist() == list(range(MAX_CANDIDATES))


def test_merging_looks_at_the_best_candidates_of_all_heads() -> None:
    corner = np.arange(2.0 * MAX_CANDIDATES)[:, None] * 3
    xyxy = np.concatenate([corner, corner, corner + 1, corner + 1], axis=1)
    kept = suppress(xyxy, np.linspace(0.9, 0.1, len(xyxy)), None, 0.5)
    assert kept.tolist() == list(range(MAX_CANDIDATES))


@pytest.mark.parametrize("resize", ["stretch", "letterbox", "pad_right", "pad_corner", "crop"])
@given(data=st.data())
def test_a_box_of_the_frame_comes_back_from_the_tensor(resize: str, data: st.DataObject) -> None:
    width, height = data.draw(st.integers(20, 90)), data.draw(st.integers(20, 90))
    manifest = listed(size=(64, 48), resize=resize, nms_iou=1.0)
    transform = prepare(np.zeros((height, width, 3), np.uint8), manifest).transform
    x, y, seen_width, seen_height = transform.looked_at_xywh
    shares = sorted(data.draw(st.tuples(*[st.integers(0, 20)] * 2, st.integers(21, 40))))
    box = np.array([x, y, x, y]) + np.array(
        [shares[0] * seen_width, shares[1] * seen_height, shares[2] * seen_width, seen_height * 40]
    ) / np.array(40.0)
    corners = transform.to_tensor(box.reshape(-1, 2)).ravel()
    found = find_listed(manifest, [*corners, 0.9, 1], transform)
    np.testing.assert_allclose(found.xyxy, [box], atol=1e-3)


@settings(max_examples=200)
@given(
    hnp.arrays(np.float32, (8, 4), elements=st.floats(-300, 300, width=32)),
    st.sampled_from(["stretch", "letterbox", "pad_right", "pad_corner", "crop"]),
    st.integers(5, 120),
)
def test_boxes_lie_in_what_was_looked_at_and_fall_in_score(
    xyxy: np.ndarray, resize: str, width: int
) -> None:
    manifest = listed(resize=resize, threshold=0.0)
    transform = prepare(np.zeros((40, width, 3), np.uint8), manifest).transform
    rows = np.column_stack([xyxy, np.linspace(0.1, 0.9, 8), np.zeros(8)])
    boxes = find_listed(manifest, rows, transform)
    x, y, seen_width, seen_height = transform.looked_at_xywh
    assert (boxes.xyxy >= [x, y, x, y]).all()
    assert (boxes.xyxy <= [x + seen_width, y + seen_height] * 2).all()
    assert (boxes.xyxy[:, 2:] > boxes.xyxy[:, :2]).all()
    assert (np.diff(boxes.score) <= 0).all()


def test_a_box_in_the_padding_is_dropped_and_one_across_it_is_cut() -> None:
    manifest = listed(size=(100, 80), resize="letterbox")
    transform = prepare(np.zeros((40, 100, 3), np.uint8), manifest).transform
    rows = [[10, 2, 30, 18, 0.9, 0], [10, 10, 30, 40, 0.8, 0]]
    boxes = find_listed(manifest, rows, transform)
    np.testing.assert_allclose(boxes.xyxy, [[10, 0, 30, 20]])
    np.testing.assert_allclose(boxes.score, [0.8])


def test_a_padded_box_does_not_push_out_a_shown_one() -> None:
    manifest = listed(size=(100, 80), resize="letterbox", max_boxes=1)
    transform = prepare(np.zeros((40, 100, 3), np.uint8), manifest).transform
    rows = [[10, 2, 30, 18, 0.9, 0], [10, 30, 30, 40, 0.8, 1]]
    assert find_listed(manifest, rows, transform).class_id.tolist() == [1]


@pytest.mark.parametrize("flat", [[5, 5, 5, 9], [9, 5, 5, 9], [5, 9, 9, 5]])
def test_a_box_without_area_is_no_object(flat: list[int]) -> None:
    assert len(find_listed(FINISHED, [[*flat, 0.9, 0]])) == 0


@given(st.lists(st.tuples(st.floats(0, 1, width=32), st.integers(0, 3)), max_size=20))
def test_each_class_has_its_threshold(scored: list[tuple[float, int]]) -> None:
    own = {"car": 0.8, "dog": 0.1}
    manifest = listed(threshold=0.5, class_thresholds=own, nms_iou=1.0)
    rows = [[1, 1, 9, 9, score, class_id] for score, class_id in scored]
    limits = [own.get(label, 0.5) for label in LABELS]
    kept = [(s, c) for s, c in scored if LABELS[c] and s >= limits[c]]
    found = find_listed(manifest, rows)
    actual = sorted(zip(found.score.tolist(), found.class_id.tolist(), strict=True))
    assert actual == sorted(kept)


def test_a_column_without_a_label_is_never_reported() -> None:
    v8 = detector(kind="yolo", version="v8", output="output")
    place = np.array([50, 40, 20, 20, 0.3, 0.0, 0.9, 0.2], np.float32)
    boxes = find(v8, output=place[None, :, None])
    assert boxes.class_id.tolist() == [0]
    np.testing.assert_allclose(boxes.score, [0.3])


def test_the_best_boxes_are_kept() -> None:
    rows = [[9 * n, 0, 9 * n + 8, 8, 0.5 + n / 100, 0] for n in range(10)]
    boxes = find_listed(listed(max_boxes=3), rows)
    np.testing.assert_allclose(boxes.score, [0.59, 0.58, 0.57])


KNOTS = [(0.2, 0.0), (0.4, 0.3), (0.6, 0.3), (0.9, 0.95)]


@settings(max_examples=300)
@given(
    hnp.arrays(np.float32, (6, 4), elements=st.floats(0, 1, width=32)),
    st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.95, 0.96]),
    st.sampled_from(["none", "sigmoid"]),
)
def test_thresholds_hold_for_calibrated_scores(
    scores: np.ndarray, threshold: float, activation: str
) -> None:
    """Sorting out before activation and calibration loses nothing and lets nothing through."""
    manifest = detector(
        kind="ssd", boxes_output="boxes", scores_output="scores", activation=activation,
        threshold=threshold, nms_iou=1.0, calibration={"knots": KNOTS}, labels=tuple("abcd"),
    )  # fmt: skip
    if activation == "sigmoid":
        scores = scores * 20 - 10
    probability = 1 / (1 + np.exp(-scores)) if activation == "sigmoid" else scores
    expected = np.interp(probability, *np.array(KNOTS).T)
    boxes = np.tile(np.array([0.1, 0.1, 0.9, 0.9], np.float32), (6, 1))
    found = find(manifest, boxes=boxes[None], scores=scores[None])
    np.testing.assert_allclose(found.score, -np.sort(-expected[expected >= threshold]), atol=1e-5)


def test_a_score_that_is_no_probability_names_the_activation() -> None:
    with pytest.raises(DecodeFailed, match="set the decoder's activation"):
        find_listed(FINISHED, [[1, 1, 9, 9, 7.3, 0]])


def test_a_quantised_score_may_exceed_one_by_its_rounding() -> None:
    assert find_listed(FINISHED, [[1, 1, 9, 9, 1.004, 0]]).score.tolist() == [1.0]


def test_nan_is_refused() -> None:
    with pytest.raises(NotFinite):
        find_listed(FINISHED, [[1, np.nan, 9, 9, 0.1, 0]])


def test_boxes_are_checked_at_birth() -> None:
    good: dict[str, Any] = {
        "labels": LABELS,
        "class_id": np.array([3]),
        "score": np.array([0.5]),
        "xyxy": np.zeros((1, 4)),
    }
    assert len(Boxes(**good)) == 1
    for name, wrong in (
        ("class_id", np.array([4])),
        ("class_id", np.array([-1])),
        ("score", np.array([0.5, 0.4])),
        ("score", np.array([1.5])),
        ("xyxy", np.full((1, 4), np.nan)),
    ):
        with pytest.raises(ValueError, match=name):
            Boxes(**{**good, name: wrong})


def test_the_message_holds_label_number_score_and_pixels() -> None:
    (message,) = find_listed(FINISHED, [[1, 2, 30, 40, 0.75, 3]]).to_fields()["boxes"]
    assert (message.label, message.class_id, message.score) == ("dog", 3, 0.75)
    assert message.xyxy == (1, 2, 30, 40)


def test_an_empty_answer_finds_nothing() -> None:
    assert len(find_listed(FINISHED, [])) == 0
    assert same_size(FINISHED).content_xywh == (0, 0, 100, 80)
