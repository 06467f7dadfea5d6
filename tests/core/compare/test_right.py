"""Which answers nobody would correct, for tasks that find places."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from inference_core.contract.dataset import TextBoxLabel
from inference_core.metrics import ConfusionMatrix, TextBoxCounts
from inference_core.optimize.judges import Reading, make_judge
from inference_core.optimize.judges.text_boxes import _Evidence
from inference_core.optimize.right import is_right
from inference_core.optimize.truth import MAX_POINTS, MAX_SHAPES, read_truth
from tests.core.judges.made import boxes, detector, prepared, sample

TRUTH = (("dent", 4, 4, 20, 20), ("scratch", 30, 30, 60, 40))
DENT, SCRATCH = ("dent", 0.9, 4, 4, 20, 20), ("scratch", 0.8, 30, 30, 60, 40)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ((DENT, SCRATCH), True),
        ((DENT, SCRATCH, ("dent", 0.3, 40, 2, 60, 20)), True),
        ((DENT,), False),
        ((DENT, ("scratch", 0.45, 30, 30, 60, 40)), False),
        ((DENT, SCRATCH, ("dent", 0.7, 40, 2, 60, 20)), False),
        ((DENT, ("dent", 0.8, 30, 30, 60, 40)), False),
        ((DENT, ("scratch", 0.8, 2, 50, 32, 60)), False),
        ((), False),
    ],
)
def test_every_object_and_nothing_else_is_found(rows: tuple, expected: bool) -> None:  # type: ignore[type-arg]
    manifest = detector()
    reading = make_judge(manifest).read(sample(boxes=TRUTH), prepared(manifest), boxes(*rows))
    assert is_right("map", reading) is expected


def test_an_empty_picture_is_right_when_nothing_is_found() -> None:
    manifest = detector()
    judge = make_judge(manifest)
    one = sample(boxes=())
    assert is_right("map", judge.read(one, prepared(manifest), boxes()))
    assert not is_right("map", judge.read(one, prepared(manifest), boxes(DENT)))


@pytest.mark.parametrize(
    ("found", "expected"), [((slice(0, 20), 1), True), ((slice(0, 9), 1), False)]
)
def test_a_class_of_the_mask_is_found_at_half(found: tuple[slice, int], expected: bool) -> None:
    truth = np.zeros((100, 100), np.uint8)
    truth[:20, :20] = 1
    answer = np.zeros_like(truth)
    answer[found[0], :20] = found[1]
    assert is_right("mean_iou", _of_masks(truth, answer), background=0) is expected


@pytest.mark.parametrize(("pixels", "expected"), [(10, True), (11, False)])
def test_a_speck_of_another_class_is_noise_and_more_is_not(pixels: int, expected: bool) -> None:
    truth, answer = np.zeros((100, 100), np.uint8), np.zeros((100, 100), np.uint8)
    answer[0, :pixels] = 2
    assert is_right("mean_iou", _of_masks(truth, answer), background=0) is expected


def _of_masks(truth: np.ndarray, answer: np.ndarray) -> Reading:
    matrix = ConfusionMatrix(3)
    matrix.add(truth, answer)
    return Reading("", 0.5, matrix)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [((2, 2, 2), True), ((1, 2, 2), False), ((2, 3, 2), False), ((0, 0, 0), True)],
)
def test_every_place_of_text_is_found(counts: tuple[int, int, int], expected: bool) -> None:
    reading = Reading("", 0.5, _Evidence(TextBoxCounts(*counts), ()))
    assert is_right("text_f1", reading) is expected


def test_labels_are_told_in_the_words_of_answers() -> None:
    manifest = detector()
    truth = read_truth(sample(boxes=(*TRUTH, TRUTH[0])), "map", manifest)
    assert (truth.words, truth.classes) == ("2 dent, 1 scratch", ("dent", "scratch"))
    assert len(truth.shapes.boxes) == 3
    place = TextBoxLabel(polygon=((0, 0), (9, 0), (9, 5)))
    told = read_truth(sample(text_boxes=(place,)), "text_f1", manifest)
    assert told.words == "1 places of text"
    assert read_truth(sample(label="dent"), "accuracy", manifest).classes == ("dent",)
    assert read_truth(sample(text="AB12"), "character_accuracy", manifest).words == "AB12"


def test_a_mask_of_many_crumbs_is_drawn_as_far_as_it_can_be(tmp_path: Path) -> None:
    from tests.core.core_models import segmenter

    mask = np.zeros((64, 64), np.uint8)
    mask[::4, ::4] = 1
    path = tmp_path / "mask.png"
    cv2.imwrite(str(path), mask)
    truth = read_truth(sample(mask=path), "mean_iou", segmenter())
    assert len(truth.shapes.regions) == MAX_SHAPES
    assert all(len(region.polygon) <= MAX_POINTS for region in truth.shapes.regions)
