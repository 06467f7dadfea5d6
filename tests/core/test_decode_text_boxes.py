"""Text boxes from a probability map: against RapidOCR on real signs, and on maps drawn here."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from inference_core.contract.decoders import TextBoxesDecoder
from inference_core.contract.manifest import ModelManifest, TensorSpec
from inference_core.contract.words import RuntimeName, Task
from inference_core.decode.lookup import decode
from inference_core.errors import DecodeFailed, NotFinite
from inference_core.files import read_document
from inference_core.image import Transform, prepare, read_picture
from inference_core.results import TextBoxes
from inference_core.runtimes.lookup import get_runtime

SAMPLES = Path(__file__).parents[1] / "samples"
GOLDEN = json.loads((Path(__file__).parent / "text_golden" / "rapidocr.json").read_text())

HEIGHT, WIDTH = 160, 320
WHOLE = Transform((1.0, 1.0), (0, 0, WIDTH, HEIGHT), (0, 0, WIDTH, HEIGHT))


def manifest(**changes: object) -> ModelManifest:
    return ModelManifest(
        task=Task.TEXT_DETECTION,
        inputs=(TensorSpec(name="x", shape=(1, 3, HEIGHT, WIDTH)),),
        outputs=(TensorSpec(name="map", shape=(1, 1, HEIGHT, WIDTH)),),
        decoder=TextBoxesDecoder(output="map", **changes),  # type: ignore[arg-type]
        licence="Apache-2.0",
    )


def read(
    probability: NDArray[np.float32], transform: Transform = WHOLE, **changes: object
) -> TextBoxes:
    found = decode({"map": probability[None, None]}, manifest(**changes), transform)
    assert isinstance(found, TextBoxes)
    return found


def draw(
    *rectangles: tuple[tuple[float, float], tuple[float, float], float],
) -> NDArray[np.float32]:
    probability = np.zeros((HEIGHT, WIDTH), np.float32)
    for rectangle in rectangles:
        corners = cv2.boxPoints(rectangle).astype(np.int32)
        cv2.fillPoly(probability, [corners], 0.9)
    return probability


def overlap(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """IoU of two convex polygons."""
    a, b = np.float32(one), np.float32(other)
    shared, _ = cv2.intersectConvexConvex(a, b)
    return shared / (cv2.contourArea(a) + cv2.contourArea(b) - shared)


@pytest.mark.parametrize("name", GOLDEN["pictures"])
def test_the_boxes_on_real_pictures_are_those_of_rapidocr(name: str) -> None:
    path = SAMPLES / "models" / "ppocr_v4_det.onnx"
    spec = read_document(path.with_suffix(".manifest.json"), ModelManifest)
    session = get_runtime(RuntimeName.ONNXRUNTIME).load(path, spec)
    prepared = prepare(read_picture(SAMPLES / "images" / name), spec)
    found = decode(session.run({"x": prepared.tensor}), spec, prepared.transform)
    assert isinstance(found, TextBoxes)
    expected = GOLDEN["pictures"][name]
    assert len(found) == len(expected)
    for theirs in expected:
        shares = [overlap(ours, np.array(theirs["polygon"])) for ours in found.polygons]
        best = int(np.argmax(shares))
        # Rounding is much of a line that is five pixels high.
        assert shares[best] > 0.65
        rounding_px = 2 / prepared.transform.scale[0] + 1  # theirs: cells, then frame pixels
        np.testing.assert_allclose(found.polygons[best], theirs["polygon"], atol=rounding_px)
        assert found.score[best] == pytest.approx(theirs["score"], abs=0.02)


def test_a_box_grows_by_area_times_ratio_over_perimeter() -> None:
    found = read(draw(((160, 80), (100, 20), 0)), unclip_ratio=1.5)
    x0, y0 = found.polygons[0].min(axis=0)
    x1, y1 = found.polygons[0].max(axis=0)
    distance = 100 * 20 * 1.5 / (2 * (100 + 20))
    assert x1 - x0 == pytest.approx(100 + 2 * distance, abs=1)
    assert y1 - y0 == pytest.approx(20 + 2 * distance, abs=1)


@settings(max_examples=60, deadline=None)
@given(
    x=st.floats(90, 230),
    y=st.floats(60, 100),
    width=st.floats(40, 90),
    height=st.floats(10, 20),
    angle=st.floats(-40, 40),
)
def test_a_rotated_line_is_found_where_it_is(
    x: float, y: float, width: float, height: float, angle: float
) -> None:
    found = read(draw(((x, y), (width, height), angle)), unclip_ratio=0)
    (polygon,) = found.polygons
    expected = cv2.boxPoints(((x + 0.5, y + 0.5), (width, height), angle))
    assert overlap(polygon, expected) > 0.75
    top, right = polygon[1] - polygon[0], polygon[2] - polygon[1]
    assert top[0] * right[1] - top[1] * right[0] > 0, "clockwise, y points down"


def test_lines_are_read_from_the_top_and_each_row_from_the_left() -> None:
    found = read(draw(((250, 40), (60, 16), 0), ((60, 44), (60, 16), 0), ((160, 120), (60, 16), 0)))
    lefts = [polygon[:, 0].mean() for polygon in found.polygons]
    np.testing.assert_allclose(lefts, [60, 250, 160], atol=2)


def test_what_lies_in_the_padding_is_not_text_and_boxes_end_at_the_frame() -> None:
    upper_half = Transform((1.0, 1.0), (0, 0, WIDTH, 80), (500, 300, WIDTH, 80))
    found = read(draw(((160, 120), (100, 20), 0), ((300, 40), (60, 20), 0)), upper_half)
    (polygon,) = found.polygons
    assert polygon[:, 0].max() <= 500 + WIDTH
    assert polygon[:, 1].min() >= 300


def test_weak_small_and_absent_text_gives_no_box() -> None:
    assert len(read(draw(((160, 80), (100, 20), 0)) * 0.6)) == 0
    assert len(read(draw(((160, 80), (60, 1.0), 0)))) == 0
    assert len(read(np.zeros((HEIGHT, WIDTH), np.float32))) == 0


def test_a_noisy_map_gives_at_most_so_many_boxes() -> None:
    probability = np.zeros((HEIGHT, WIDTH), np.float32)
    for y in range(0, HEIGHT, 8):
        for x in range(0, WIDTH, 8):
            probability[y : y + 5, x : x + 5] = 0.9
    assert len(read(probability, max_boxes=50)) == 50


def test_broken_outputs_are_refused() -> None:
    with pytest.raises(NotFinite):
        read(np.full((HEIGHT, WIDTH), np.nan, np.float32))
    with pytest.raises(DecodeFailed, match="1×1×H×W"):
        decode({"map": np.zeros((1, 2, 8, 8), np.float32)}, manifest(), WHOLE)
