"""What each kind of detector promises beyond what the peers were asked, and what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from inference_core.contract.manifest import ModelManifest
from inference_core.errors import DecodeFailed
from tests.core.core_models import segmenter
from tests.core.detectors import detector, find, find_listed, listed, same_size

V5 = detector(kind="yolo", version="v5", output="output")
V8 = detector(kind="yolo", version="v8", output="output")
END_TO_END = detector(kind="end_to_end", output="output")
LISTED = listed()
SSD = detector(kind="ssd", boxes_output="boxes", scores_output="scores")
DETR = detector(kind="detr", boxes_output="boxes", scores_output="scores")
SOFTMAX = detector(kind="detr", boxes_output="boxes", scores_output="scores", activation="softmax")
GRID = detector(
    kind="grid",
    heads=[{"stride": 16, "scores": "scores", "sides": "sides"}],
    activation="none",
)
"""A tensor of 100 by 80 has 7 by 5 cells of 16: the last column is cut."""

BOX = [50.0, 40.0, 20.0, 10.0]
FRAMED = [[40, 35, 60, 45]]


def tensor(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.float32)


def logit(probability: Any) -> np.ndarray:
    share = np.asarray(probability, np.float32)
    return np.log(share / (1 - share))


def test_yolo_v5_multiplies_objectness_and_class_after_the_sigmoid() -> None:
    manifest = detector(kind="yolo", version="v5", output="output", activation="sigmoid")
    output = np.full((1, 5, 9), -20, np.float32)
    output[0, 2] = [*BOX, logit(0.8), *logit([0.1, 0.9, 0.99, 0.2])]
    output[0, 3] = [*BOX, logit(0.2), *logit([0.1, 0.99, 0.1, 0.1])]
    boxes = find(manifest, output=output)
    np.testing.assert_allclose(boxes.xyxy, FRAMED)
    np.testing.assert_allclose(boxes.score, [0.72], rtol=1e-5)
    assert boxes.class_id.tolist() == [1]


def test_yolo_reads_shares_of_the_tensor() -> None:
    manifest = detector(kind="yolo", version="v8", output="output", unit="share")
    place = np.array([0.5, 0.5, 0.2, 0.125, 0.9, 0, 0, 0], np.float32)
    np.testing.assert_allclose(find(manifest, output=place[None, :, None]).xyxy, FRAMED, rtol=1e-6)


@pytest.mark.parametrize(
    ("box_format", "box"),
    [
        ("xyxy", [0.4, 0.25, 0.6, 0.75]),
        ("yxyx", [0.25, 0.4, 0.75, 0.6]),
        ("cxcywh", [0.5, 0.5, 0.2, 0.5]),
        ("xywh", [0.4, 0.25, 0.2, 0.5]),
    ],
)
def test_ssd_reads_every_format(box_format: str, box: list[float]) -> None:
    manifest = detector(
        kind="ssd", boxes_output="boxes", scores_output="scores", box_format=box_format
    )
    scores = np.array([[[0.9, 0, 0, 0]]], np.float32)
    boxes = find(manifest, boxes=np.array([[box]], np.float32), scores=scores)
    np.testing.assert_allclose(boxes.xyxy, [[40, 20, 60, 60]], rtol=1e-5)


def test_ssd_never_reports_its_background() -> None:
    manifest = detector(
        kind="ssd", boxes_output="boxes", scores_output="scores", activation="softmax", background=0
    )
    scores = np.log(np.array([[[0.6, 0.4, 1e-9, 1e-9], [0.9, 0.1, 1e-9, 1e-9]]], np.float32))
    boxes = np.tile(np.array([0.1, 0.1, 0.5, 0.5], np.float32), (1, 2, 1))
    found = find(manifest, boxes=boxes, scores=scores)
    assert found.class_id.tolist() == [1]
    np.testing.assert_allclose(found.score, [0.4], rtol=1e-5)


def test_a_background_outside_the_columns_is_refused() -> None:
    manifest = detector(kind="ssd", boxes_output="boxes", scores_output="scores", background=4)
    with pytest.raises(DecodeFailed, match="column 4 of 4"):
        find(manifest, boxes=tensor(1, 9, 4), scores=tensor(1, 9, 4))


def test_one_place_of_ssd_may_be_two_objects_and_one_of_yolo_may_not() -> None:
    both = [0.8, 0.7, 0, 0]
    boxes = find(
        SSD,
        boxes=np.array([[[0.1, 0.1, 0.5, 0.5]]], np.float32),
        scores=np.array([[both]], np.float32),
    )
    assert boxes.class_id.tolist() == [0, 1]
    place = np.array([*BOX, *both], np.float32)
    assert find(V8, output=place[None, :, None]).class_id.tolist() == [0]


def test_a_query_is_its_likeliest_object_even_where_no_object_is_likelier() -> None:
    scores = np.log(np.array([[[0.1, 0.3, 0.05, 0.05, 0.5]]], np.float32))
    boxes = find(SOFTMAX, boxes=np.array([[[0.5, 0.5, 0.2, 0.125]]], np.float32), scores=scores)
    assert boxes.class_id.tolist() == [1]
    np.testing.assert_allclose(boxes.score, [0.3], rtol=1e-5)
    np.testing.assert_allclose(boxes.xyxy, FRAMED, rtol=1e-5)


@pytest.mark.parametrize("centre", [0.0, 0.5])
def test_a_side_is_its_expected_bin_times_the_stride(centre: float) -> None:
    update = {"decoder": GRID.decoder.model_copy(update={"centre": centre})}
    scores, sides = tensor(1, 35, 4), np.full((1, 35, 16), -50, np.float32)
    scores[0, 2 * 7 + 3, 3] = 0.9
    distribution = sides[0, 2 * 7 + 3].reshape(4, 4)
    distribution[0, [1, 2]] = 0  # left: between bins 1 and 2
    distribution[1, 0] = distribution[2, 3] = distribution[3, 1] = 0
    boxes = find(GRID.model_copy(update=update), scores=scores, sides=sides)
    middle = [(3 + centre) * 16, (2 + centre) * 16]
    expected = [[middle[0] - 24, middle[1], middle[0] + 48, middle[1] + 16]]
    np.testing.assert_allclose(boxes.xyxy, np.minimum(expected, [100, 80, 100, 80]), rtol=1e-6)
    assert boxes.class_id.tolist() == [3]


def test_lists_may_have_a_batch_of_one_and_whole_class_numbers() -> None:
    outputs = {
        "boxes": np.array([[[40, 35, 60, 45]]], np.float32),
        "scores": np.array([[0.9]], np.float32),
        "classes": np.array([[3]], np.int64),
    }
    boxes = find(LISTED, **outputs)
    np.testing.assert_allclose(boxes.xyxy, FRAMED)
    assert boxes.class_id.tolist() == [3]


@pytest.mark.parametrize(("number", "first"), [(4, 0), (-1, 0), (0, 1), (5, 1)])
def test_a_class_without_a_label_is_refused(number: int, first: int) -> None:
    with pytest.raises(DecodeFailed, match=f"labels stand for {first} to {first + 3}"):
        find_listed(listed(first_class=first), [[1, 1, 9, 9, 0.9, number]])


def test_the_class_of_a_filling_row_does_not_matter() -> None:
    assert len(find_listed(LISTED, [[0, 0, 0, 0, 0, -1], [0, 0, 0, 0, 0, 900]])) == 0


def test_half_precision_outputs_are_read() -> None:
    place = np.array([*BOX, 0.9, 0, 0, 0], np.float16)
    np.testing.assert_allclose(find(V8, output=place[None, :, None]).xyxy, FRAMED)


@pytest.mark.parametrize(
    ("manifest", "outputs"),
    [
        (V5, {"output": tensor(1, 9, 8)}),
        (V5, {"output": tensor(9, 9)}),
        (V5, {"output": tensor(2, 5, 9)}),
        (V8, {"output": tensor(1, 20, 8)}),
        (V8, {"output": tensor(8, 20)}),
        (END_TO_END, {"output": tensor(1, 300, 7)}),
        (END_TO_END, {"output": tensor(300, 6)}),
        (SSD, {"boxes": tensor(1, 9, 5), "scores": tensor(1, 9, 4)}),
        (SSD, {"boxes": tensor(1, 9, 4), "scores": tensor(1, 9, 5)}),
        (SSD, {"boxes": tensor(1, 9, 4), "scores": tensor(1, 8, 4)}),
        (SSD, {"boxes": tensor(1, 9, 2, 4), "scores": tensor(1, 9, 4)}),
        (DETR, {"boxes": tensor(1, 9, 4), "scores": tensor(1, 9, 5)}),
        (DETR, {"boxes": tensor(1, 9, 4), "scores": tensor(1, 8, 4)}),
        (SOFTMAX, {"boxes": tensor(1, 9, 4), "scores": tensor(1, 9, 4)}),
        (GRID, {"scores": tensor(1, 36, 4), "sides": tensor(1, 36, 16)}),
        (GRID, {"scores": tensor(1, 35, 4), "sides": tensor(1, 35, 15)}),
        (GRID, {"scores": tensor(1, 35, 4), "sides": tensor(1, 36, 16)}),
        (GRID, {"scores": tensor(1, 35, 4), "sides": tensor(1, 35, 0)}),
        (LISTED, {"boxes": tensor(9, 4), "scores": tensor(8), "classes": tensor(9)}),
        (LISTED, {"boxes": tensor(9, 4), "scores": tensor(9), "classes": tensor(1, 9, 1)}),
        (LISTED, {"boxes": tensor(9, 5), "scores": tensor(9), "classes": tensor(9)}),
        (LISTED, {"boxes": tensor(), "scores": tensor(), "classes": tensor()}),
        (LISTED, {"boxes": tensor(2, 9, 4), "scores": tensor(2, 9), "classes": tensor(2, 9)}),
    ],
)
def test_outputs_of_another_shape_are_refused_with_a_sentence(
    manifest: ModelManifest, outputs: dict[str, np.ndarray]
) -> None:
    with pytest.raises(DecodeFailed, match=r"^output '\w+' (is|has) "):
        find(manifest, **outputs)


def test_an_absent_output_is_named() -> None:
    with pytest.raises(DecodeFailed, match="reads 'scores'"):
        find(SSD, boxes=tensor(1, 9, 4))


@pytest.mark.parametrize(
    ("manifest", "outputs"),
    [
        (V5, {"output": tensor(1, 0, 9)}),
        (V8, {"output": tensor(1, 8, 0)}),
        (END_TO_END, {"output": tensor(1, 0, 6)}),
        (SSD, {"boxes": tensor(1, 0, 4), "scores": tensor(1, 0, 4)}),
        (DETR, {"boxes": tensor(1, 0, 4), "scores": tensor(1, 0, 4)}),
        (SOFTMAX, {"boxes": tensor(1, 0, 4), "scores": tensor(1, 0, 5)}),
    ],
)
def test_no_place_at_all_is_no_object(
    manifest: ModelManifest, outputs: dict[str, np.ndarray]
) -> None:
    assert len(find(manifest, **outputs)) == 0


def test_a_decoder_of_another_kind_is_refused() -> None:
    from inference_core.decode import ssd

    with pytest.raises(DecodeFailed, match="the manifest says 'segment'"):
        ssd.decode({}, segmenter(), same_size(segmenter()))
    with pytest.raises(DecodeFailed, match="the manifest says 'yolo'"):
        ssd.decode({}, V8, same_size(V8))
