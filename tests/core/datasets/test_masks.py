"""Masks decoded and outlined as pycocotools does it, and drawn again without a pixel lost."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from pycocotools import mask as oracle

from inference_core.datasets.formats import read_set, write_set
from inference_core.datasets.geometry import measure_area
from inference_core.datasets.labelled import LabelledObject, LabelledSet, bound
from inference_core.datasets.linewarden import draw_mask
from inference_core.datasets.outline import fill_outline, trace_outlines
from inference_core.datasets.problem import DatasetError, Notes
from inference_core.datasets.rle import decode_counts, fill_columns
from tests.core.datasets.labelled_sets import make_image
from tests.core.datasets.test_foreign_layouts import write_coco

MASKS = st_numpy.arrays(bool, st_numpy.array_shapes(min_dims=2, max_dims=2, max_side=12))


def encode(mask: np.ndarray) -> str:
    text: bytes = oracle.encode(np.asfortranarray(mask, np.uint8))["counts"]
    return text.decode()


@settings(deadline=None)
@given(MASKS)
def test_compressed_masks_are_read_as_pycocotools_wrote_them(mask: np.ndarray) -> None:
    height, width = mask.shape

    counts = decode_counts(encode(mask), "here")

    np.testing.assert_array_equal(fill_columns(counts, width, height, "here"), mask)


def test_long_runs_are_read_too() -> None:
    mask = np.zeros((700, 900), bool)
    mask[100:650, 200:800] = True
    mask[300:310, :] = False

    counts = decode_counts(encode(mask), "here")

    np.testing.assert_array_equal(fill_columns(counts, 900, 700, "here"), mask)


@given(st.text(max_size=30))
def test_any_text_is_counts_or_a_dataset_error(text: str) -> None:
    try:
        counts = decode_counts(text, "here")
        fill_columns(counts, 20, 10, "here")
    except DatasetError as error:
        assert str(error).startswith("here")  # noqa: PT017  # most texts are refused, not all


@settings(deadline=None)
@given(MASKS)
def test_outlines_enclose_their_mask_and_its_holes_exactly(mask: np.ndarray) -> None:
    rings, holes = trace_outlines(mask)

    filled = np.zeros(mask.shape, bool)
    for ring in rings:
        filled |= fill_outline(ring, mask.shape[1], mask.shape[0])
    count, _ = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    assert len(rings) == count - 1
    assert not (mask & ~filled).any()
    if not holes:
        np.testing.assert_array_equal(filled, mask)


def test_a_hole_is_counted_and_not_outlined() -> None:
    mask = np.ones((5, 5), bool)
    mask[2, 2] = False

    rings, holes = trace_outlines(mask)

    assert rings == (((0, 0), (5, 0), (5, 5), (0, 5)),)
    assert (measure_area(rings[0]), holes) == (25, 1)


@pytest.mark.parametrize("crowded", [0, 1])
def test_a_coco_mask_becomes_an_outline(tmp_path: Path, crowded: int) -> None:
    mask = np.zeros((48, 64), bool)
    mask[10:20, 5:30] = True
    mask[12:14, 8:10] = False
    counts = encode(mask)
    annotation = {
        "image_id": 7,
        "category_id": 2,
        "iscrowd": crowded,
        "segmentation": {"size": [48, 64], "counts": counts},
    }
    notes = Notes()

    labelled = read_set("coco", write_coco(tmp_path, annotations=[annotation]), notes)

    (one,) = labelled.images[0].known_objects
    assert (one.xyxy, one.crowd) == ((5, 10, 30, 20), bool(crowded))
    assert any("1 holes in masks were filled" in line for line in notes.lines)


def test_outlines_become_masks_that_judge_a_segmentation(tmp_path: Path) -> None:
    rings = (((2.0, 2.0), (10.0, 2.0), (10.0, 6.0), (2.0, 6.0)),)
    scratch = LabelledObject("scratch", bound(rings), rings)
    image = make_image(tmp_path / "p", "a.png", (scratch,))
    notes = Notes()

    write_set("linewarden", LabelledSet(("dent", "scratch"), (image,)), tmp_path / "set", notes)

    line = json.loads((tmp_path / "set/labels.jsonl").read_text())
    mask = cv2.imread(str(tmp_path / "set" / line["mask"]), cv2.IMREAD_UNCHANGED)
    expected = np.zeros((48, 64), np.uint8)
    expected[2:6, 2:10] = 2
    np.testing.assert_array_equal(mask, expected)
    assert any("0 = background, 1 = dent, 2 = scratch" in said for said in notes.lines)


def test_a_drawn_mask_has_the_pixels_whose_centres_lie_inside(tmp_path: Path) -> None:
    rings = (((1.0, 1.0), (30.0, 4.0), (12.0, 40.0)),)
    image = make_image(tmp_path, "a.png", (LabelledObject("a", bound(rings), rings),))

    drawn = draw_mask(image, ("a",)).astype(bool)

    flat = [side for point in rings[0] for side in point]
    theirs = oracle.decode(oracle.frPyObjects([flat], 48, 64))[:, :, 0].astype(bool)
    assert int(drawn.sum()) == pytest.approx(measure_area(rings[0]), rel=0.01)
    assert (drawn ^ theirs).sum() < 0.05 * theirs.sum()
