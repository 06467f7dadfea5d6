"""Regions held against an independent flood fill, in tensors that were resized and padded."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from inference_core.contract.manifest import ModelManifest
from inference_core.decode.blobs import MAX_REGIONS
from inference_core.decode.lookup import decode
from inference_core.errors import DecodeFailed, NotFinite
from inference_core.image import Transform, prepare
from inference_core.results import Regions
from tests.core.core_models import one_scratch, segmenter

SAME_SIZE = Transform((1.0, 1.0), (0, 0, 8, 6), (0, 0, 8, 6))


def one_hot(classes: np.ndarray) -> np.ndarray:
    return (np.arange(3)[:, None, None] == classes)[None].astype(np.float32)


def flood(classes: np.ndarray) -> list[tuple[int, set[tuple[int, int]]]]:
    """Connected regions by the book: a set of unseen pixels and eight neighbours."""
    unseen = {(int(y), int(x)) for y, x in zip(*np.nonzero(classes), strict=True)}
    regions = []
    while unseen:
        todo = [unseen.pop()]
        region = set(todo)
        class_id = classes[todo[0]]
        while todo:
            y, x = todo.pop()
            near = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)}
            found = {place for place in near & unseen if classes[place] == class_id}
            unseen -= found
            region |= found
            todo += found
        regions.append((int(class_id), region))
    return regions


def read(output: np.ndarray, manifest: ModelManifest, transform: Transform = SAME_SIZE) -> Regions:
    found = decode({"logits": output}, manifest, transform)
    assert isinstance(found, Regions)
    return found


@settings(max_examples=200)
@given(hnp.arrays(np.int64, (6, 8), elements=st.integers(0, 2)))
def test_regions_are_those_of_a_flood_fill(classes: np.ndarray) -> None:
    regions = read(one_hot(classes), segmenter())
    actual = {
        (int(class_id), float(area), *map(float, box))
        for class_id, area, box in zip(regions.class_id, regions.area_px, regions.xyxy, strict=True)
    }
    expected = set()
    for class_id, pixels in flood(classes):
        ys, xs = zip(*pixels, strict=True)
        box = (min(xs), min(ys), max(xs) + 1, max(ys) + 1)
        expected.add((class_id, float(len(pixels)), *map(float, box)))
    assert actual == expected
    assert len(regions) == len(flood(classes))
    assert (np.diff(regions.area_px) <= 0).all()


@given(st.integers(1, 60), st.integers(1, 40), st.integers(10, 80), st.integers(10, 60))
def test_areas_and_boxes_are_measured_in_the_frame(
    width: int, height: int, to_width: int, to_height: int
) -> None:
    frame = np.zeros((height, width, 3), np.uint8)
    manifest = segmenter(to_width, to_height, resize="letterbox")
    transform = prepare(frame, manifest).transform
    everything = np.ones((to_height, to_width), np.int64)
    regions = read(one_hot(everything), manifest, transform)
    assert len(regions) == 1
    np.testing.assert_allclose(regions.area_px, [width * height])
    np.testing.assert_allclose(regions.xyxy, [[0, 0, width, height]], atol=1e-9)
    np.testing.assert_allclose(regions.length_px, [max(width, height)], rtol=1e-4)


def test_the_score_is_the_mean_probability_and_millimetres_follow_the_scale() -> None:
    regions = read(one_scratch(), segmenter())
    np.testing.assert_allclose(regions.score, [0.8], rtol=1e-6)
    (message,) = regions.to_fields(mm_per_px=0.5)["regions"]
    assert message.label == "scratch"
    assert message.area_mm2 == pytest.approx(3 * 0.25)
    assert message.length_mm == pytest.approx(3 * 0.5)
    (unscaled,) = regions.to_fields()["regions"]
    assert unscaled.area_mm2 is None
    assert unscaled.length_mm is None


def test_a_slanted_line_is_as_long_as_it_is() -> None:
    classes = np.zeros((200, 200), np.int64)
    for step in range(120):
        classes[20 + step, 30 + step // 2] = 1
    manifest = segmenter(200, 200)
    transform = Transform((1.0, 1.0), (0, 0, 200, 200), (0, 0, 200, 200))
    regions = read(one_hot(classes), manifest, transform)
    assert regions.length_px[0] == pytest.approx(np.hypot(120, 60), rel=0.02)


def test_an_unsure_pixel_is_background() -> None:
    output = one_scratch()
    output[0, :, 1, 2:5] = np.array([[0.3], [0.4], [0.3]])
    assert len(read(output, segmenter())) == 0


def test_small_regions_are_left_out() -> None:
    manifest = segmenter()
    decoder = manifest.decoder.model_copy(update={"min_area_px": 4})
    assert len(read(one_scratch(), manifest.model_copy(update={"decoder": decoder}))) == 0


def test_softmax_turns_logits_into_probabilities() -> None:
    manifest = segmenter()
    decoder = manifest.decoder.model_copy(update={"activation": "softmax"})
    logits = np.log(np.maximum(one_scratch(), 1e-9)) + 300.0
    regions = read(logits, manifest.model_copy(update={"decoder": decoder}))
    np.testing.assert_allclose(regions.score, [0.8], rtol=1e-4)


def test_nothing_is_found_in_the_padding() -> None:
    manifest = segmenter(8, 6, resize="pad_right")
    transform = prepare(np.zeros((6, 4, 3), np.uint8), manifest).transform
    classes = np.zeros((6, 8), np.int64)
    classes[:, 6:] = 1
    assert len(read(one_hot(classes), manifest, transform)) == 0


def test_noise_gives_a_bounded_number_of_regions() -> None:
    checkered = np.zeros((128, 128), np.int64)
    checkered[::2, ::2] = 1
    transform = Transform((1.0, 1.0), (0, 0, 128, 128), (0, 0, 128, 128))
    assert len(read(one_hot(checkered), segmenter(128, 128), transform)) == MAX_REGIONS


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_one_number_that_is_not_finite_is_enough(poison: float) -> None:
    output = one_scratch()
    output[0, 2, 5, 7] = poison
    with pytest.raises(NotFinite):
        read(output, segmenter())


def test_opposite_infinities_do_not_cancel_out() -> None:
    output = one_scratch()
    output[0, 2, 5, 6:8] = np.inf, -np.inf
    with pytest.raises(NotFinite):
        read(output, segmenter())


def test_large_finite_numbers_are_fine() -> None:
    output = np.full((1, 3, 6, 8), np.finfo(np.float32).max, np.float32)
    assert len(read(output, segmenter())) == 0


@pytest.mark.parametrize("shape", [(1, 2, 6, 8), (3, 6, 8), (2, 3, 6, 8)])
def test_an_output_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(DecodeFailed, match="1×3×H×W"):
        read(np.zeros(shape, np.float32), segmenter())


def test_a_result_is_checked_at_birth() -> None:
    fine = read(one_scratch(), segmenter())
    with pytest.raises(ValueError, match="score has the shape"):
        Regions(
            labels=fine.labels,
            class_id=fine.class_id,
            score=np.zeros(2),
            xyxy=fine.xyxy,
            area_px=fine.area_px,
            length_px=fine.length_px,
            polygons=fine.polygons,
        )
