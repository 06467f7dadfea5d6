"""Tiles cover a large frame, and what they find is found once."""

import itertools
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference_core.contract.decoders import ClassifyDecoder, SegmentDecoder, YoloDecoder
from inference_core.contract.manifest import ModelManifest
from inference_core.contract.pipeline import Tiles
from inference_core.contract.words import RuntimeName
from inference_core.decode.blobs import find_blobs, measure
from inference_core.decode.lookup import decode
from inference_core.errors import BadInput
from inference_core.files import read_document
from inference_core.image import Preparer, Transform
from inference_core.picture import read_picture
from inference_core.results import Anomaly, Boxes, Classes, Regions, TextBoxes
from inference_core.runtimes.base import Session
from inference_core.runtimes.lookup import get_runtime
from inference_core.tiling import merge_found, plan_tiles

SAMPLES = Path(__file__).parents[1] / "samples"
LABELS = ("person", "car")
BOXES = YoloDecoder(output="o", version="v8", labels=LABELS, nms_iou=0.5)
SEGMENTS = SegmentDecoder(output="o", labels=("background", "scratch"))

Window = tuple[int, int, int, int]
sides = st.integers(1, 3000)


def tiles(width: int, height: int, overlap: float = 0.2, max_tiles: int = 1024) -> Tiles:
    return Tiles(size_px=(width, height), overlap=overlap, max_tiles=max_tiles)


@given(sides, sides, st.integers(16, 900), st.integers(16, 900), st.floats(0, 0.8))
@settings(deadline=None)
def test_tiles_cover_every_pixel_and_overlap_as_asked(
    width: int, height: int, tile_width: int, tile_height: int, overlap: float
) -> None:
    try:
        plan = plan_tiles((width, height), tiles(tile_width, tile_height, overlap))
    except BadInput:
        return
    size = min(tile_width, width), min(tile_height, height)
    assert {window[2:] for window in plan} == {size}
    assert len(set(plan)) == len(plan)
    for axis, (length, side) in enumerate(zip((width, height), size, strict=True)):
        begins = sorted({window[axis] for window in plan})
        assert begins[0] == 0
        assert begins[-1] + side == length
        for before, after in itertools.pairwise(begins):
            assert before + side - after >= side * overlap - 1e-9
    columns, rows = ({window[axis] for window in plan} for axis in (0, 1))
    assert len(plan) == len(columns) * len(rows)


def test_a_frame_smaller_than_a_tile_is_one_tile() -> None:
    assert plan_tiles((300, 200), tiles(640, 640)) == [(0, 0, 300, 200)]


def test_tiles_stay_in_their_region() -> None:
    plan = plan_tiles((1000, 800), tiles(200, 200), (0.5, 0.25, 0.5, 0.5))
    assert min(x for x, *_ in plan) == 500
    assert min(y for _, y, *_ in plan) == 200
    assert max(x + width for x, _, width, _ in plan) == 1000
    assert max(y + height for _, y, _, height in plan) == 600


def test_more_tiles_than_allowed_are_refused_with_the_way_out() -> None:
    with pytest.raises(BadInput, match="raise max_tiles"):
        plan_tiles((4000, 3000), tiles(100, 100, max_tiles=64))


def boxes_of(found: list[tuple[int, float, tuple[float, ...]]]) -> Boxes:
    return Boxes(
        labels=LABELS,
        class_id=np.array([name for name, _, _ in found], dtype=np.int64),
        score=np.array([score for _, score, _ in found], dtype=np.float64),
        xyxy=np.array([xyxy for _, _, xyxy in found], dtype=np.float64).reshape(-1, 4),
    )


def look(window: Window, objects: list[tuple[int, float, tuple[float, ...]]]) -> Boxes:
    """A perfect detector: every object in the tile, cut off at its border."""
    x, y, width, height = window
    seen = []
    for name, score, (x0, y0, x1, y1) in objects:
        cut = (max(x0, x), max(y0, y), min(x1, x + width), min(y1, y + height))
        if cut[2] - cut[0] >= 3 and cut[3] - cut[1] >= 3:
            seen.append((name, score * (cut[2] - cut[0]) / (x1 - x0), cut))
    return boxes_of(seen)


@st.composite
def planted(draw: st.DrawFn) -> list[tuple[int, float, tuple[float, ...]]]:
    """Objects of any size on a canvas of 1500 × 1200, side by side."""
    cell = draw(st.sampled_from([100, 250, 400, 600]))
    seed = draw(st.integers(0, 2**32 - 1))
    random = np.random.default_rng(seed)
    objects = []
    for x in range(0, 1500 - cell + 1, cell):
        for y in range(0, 1200 - cell + 1, cell):
            if random.random() < 0.6:
                left, top = np.add(random.uniform(0, cell / 3, 2), [x, y])
                right, bottom = np.add(random.uniform(cell / 2, cell - 1, 2), [x, y])
                name, score = int(random.integers(0, 2)), float(random.uniform(0.5, 1))
                objects.append((name, score, (left, top, right, bottom)))
    return objects


@given(planted(), st.integers(80, 900), st.integers(80, 900), st.floats(0.1, 0.7))
@settings(deadline=None, max_examples=60)
def test_every_planted_object_is_found_exactly_once_whatever_the_tiles(
    objects: list[tuple[int, float, tuple[float, ...]]], width: int, height: int, overlap: float
) -> None:
    try:
        plan = plan_tiles((1500, 1200), tiles(width, height, overlap, max_tiles=200))
    except BadInput:
        return
    found = merge_found([(window, look(window, objects)) for window in plan], BOXES)
    assert isinstance(found, Boxes)
    assert sorted(found.xyxy.round(6).tolist()) == sorted(
        np.array([xyxy for *_, xyxy in objects]).reshape(-1, 4).round(6).tolist()
    )
    assert (np.diff(found.score) <= 0).all()
    names = {tuple(np.round(xyxy, 6)): name for name, _, xyxy in objects}
    assert [names[tuple(xyxy)] for xyxy in found.xyxy.round(6)] == found.class_id.tolist()


TWO = [(0, 0, 100, 100), (80, 0, 100, 100)]


def merge_two(left: Boxes, right: Boxes, decoder: YoloDecoder = BOXES) -> Boxes:
    found = merge_found([(TWO[0], left), (TWO[1], right)], decoder)
    assert isinstance(found, Boxes)
    return found


def test_a_part_that_the_border_cut_off_is_no_second_object() -> None:
    whole, part = (0, 0.6, (40.0, 10.0, 98.0, 60.0)), (0, 0.9, (80.0, 11.0, 100.0, 58.0))
    found = merge_two(boxes_of([whole]), boxes_of([part]))
    assert len(found) == 1
    assert found.score.tolist() == [0.9]


def test_an_object_wider_than_the_overlap_is_put_together() -> None:
    left, right = (0, 0.6, (20.0, 10.0, 100.0, 60.0)), (0, 0.7, (80.0, 12.0, 150.0, 61.0))
    found = merge_two(boxes_of([left]), boxes_of([right]))
    assert found.xyxy.tolist() == [[20, 10, 150, 61]]


def test_a_small_object_in_front_of_a_large_one_stays() -> None:
    large, small = (0, 0.9, (50.0, 0.0, 98.0, 90.0)), (0, 0.8, (84.0, 40.0, 96.0, 55.0))
    cut = (0, 0.5, (80.0, 0.0, 98.0, 90.0))
    found = merge_two(boxes_of([large, small]), boxes_of([cut, small]))
    assert found.xyxy.tolist() == [[50, 0, 98, 90], [84, 40, 96, 55]]


def test_two_objects_that_one_tile_tells_apart_stay_two() -> None:
    near = [(0, 0.9, (82.0, 10.0, 92.0, 50.0)), (0, 0.8, (86.0, 10.0, 97.0, 50.0))]
    blurred = (0, 0.85, (83.0, 10.0, 95.0, 50.0))
    assert len(merge_two(boxes_of(near), boxes_of([blurred]))) == 2


def test_classes_are_merged_across_only_where_the_model_says_so() -> None:
    car, person = (1, 0.9, (82.0, 10.0, 98.0, 50.0)), (0, 0.8, (82.0, 10.0, 98.0, 50.0))
    assert len(merge_two(boxes_of([car]), boxes_of([person]))) == 2
    agnostic = BOXES.model_copy(update={"merges_across_classes": True})
    found = merge_two(boxes_of([car]), boxes_of([person]), agnostic)
    assert found.class_id.tolist() == [1]


def test_nothing_found_is_nothing() -> None:
    assert len(merge_two(boxes_of([]), boxes_of([]))) == 0


def test_only_the_surest_thousand_are_kept() -> None:
    crowd = [
        (
            0,
            0.1 + (row * 40 + column) / 4000,
            (column * 10, row * 10, column * 10 + 8, row * 10 + 8),
        )
        for row in range(30)
        for column in range(40)
    ]
    found = merge_found([((0, 0, 400, 300), boxes_of(crowd))], BOXES)
    assert len(found) == 1000
    assert isinstance(found, Boxes)
    assert found.score.min() > 0.14


def segment(mask: np.ndarray, window: Window) -> Regions:
    """As the decoder measures a mask that the model gave for a tile."""
    x, y, width, height = window
    part = mask[y : y + height, x : x + width].astype(bool)
    transform = Transform((1.0, 1.0), (0, 0, width, height), window)
    blobs = find_blobs(np.ascontiguousarray(part), part * 0.9, 1, 1)
    return measure(blobs, SEGMENTS.labels, (1.0, 1.0), transform)


@st.composite
def defects(draw: st.DrawFn) -> np.ndarray:
    """Scratches and dents on 700 × 500, at least a few pixels apart."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    mask = np.zeros((500, 700), np.uint8)
    for _ in range(int(random.integers(1, 6))):
        one = np.zeros_like(mask)
        ends = random.integers(0, (700, 500), (2, 2))
        if random.random() < 0.5:
            cv2.line(one, ends[0].tolist(), ends[1].tolist(), (1,), int(random.integers(3, 12)))
        else:
            cv2.circle(one, ends[0].tolist(), int(random.integers(10, 120)), (1,), cv2.FILLED)
        if not (cv2.dilate(one, np.ones((13, 13))) & mask).any():
            mask |= one
    return mask


@given(defects(), st.integers(90, 800), st.integers(90, 600), st.floats(0.15, 0.6))
@settings(deadline=None, max_examples=60)
def test_a_defect_that_spans_tiles_is_one_with_its_whole_area(
    mask: np.ndarray, width: int, height: int, overlap: float
) -> None:
    plan = plan_tiles((700, 500), tiles(width, height, overlap))
    found = merge_found([(window, segment(mask, window)) for window in plan], SEGMENTS)
    whole = segment(mask, (0, 0, 700, 500))
    assert isinstance(found, Regions)
    assert len(found) == len(whole)
    ours, theirs = (
        sorted(zip(r.xyxy.tolist(), r.area_px.tolist(), r.length_px.tolist(), strict=True))
        for r in (found, whole)
    )
    for (xyxy, area, length), (true_xyxy, true_area, true_length) in zip(ours, theirs, strict=True):
        assert xyxy == true_xyxy
        assert area == pytest.approx(true_area, rel=0.03, abs=12)
        assert length == pytest.approx(true_length, rel=0.02, abs=3)
    assert (np.diff(found.area_px) <= 0).all()


def test_a_ring_keeps_its_hole_nearly() -> None:
    mask = cv2.circle(np.zeros((500, 700), np.uint8), (330, 260), 120, (1,), 9)
    plan = plan_tiles((700, 500), tiles(200, 200, 0.3))
    found = merge_found([(window, segment(mask, window)) for window in plan], SEGMENTS)
    assert isinstance(found, Regions)
    assert found.area_px == pytest.approx([mask.sum()], rel=0.1)


def test_defects_of_two_classes_stay_two() -> None:
    mask = np.zeros((100, 180), np.uint8)
    mask[40:50, 70:120] = 1
    left = segment(mask, TWO[0])
    right = segment(mask, TWO[1])
    dent = Regions(
        ("background", "scratch", "dent"),
        right.class_id + 1,
        right.score,
        right.xyxy,
        right.area_px,
        right.length_px,
        right.polygons,
    )
    scratch = Regions(dent.labels, *(getattr(left, name) for name in REGION_FIELDS))
    assert len(merge_found([(TWO[0], scratch), (TWO[1], dent)], SEGMENTS)) == 2
    assert len(merge_found([(TWO[0], left), (TWO[1], right)], SEGMENTS)) == 1


REGION_FIELDS = ("class_id", "score", "xyxy", "area_px", "length_px", "polygons")


def test_the_worst_tile_is_the_score_of_an_anomaly() -> None:
    mask = np.zeros((100, 180), np.uint8)
    mask[40:50, 70:120] = 1
    parts = [
        (TWO[0], Anomaly(0.3, segment(mask, TWO[0]))),
        (TWO[1], Anomaly(0.8, segment(mask, TWO[1]))),
    ]
    found = merge_found(parts, SEGMENTS)
    assert isinstance(found, Anomaly)
    assert found.score == 0.8
    assert found.regions.area_px.tolist() == [500]


def rectangle(x: float, y: float, width: float, height: float) -> np.ndarray:
    return np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]])


def text_boxes(*polygons: np.ndarray) -> TextBoxes:
    return TextBoxes(np.linspace(0.9, 0.8, len(polygons)), tuple(polygons))


def test_a_line_of_text_in_two_tiles_is_one_line() -> None:
    left = text_boxes(rectangle(10, 10, 90, 20), rectangle(5, 50, 40, 15))
    right = text_boxes(rectangle(80, 10, 70, 20), rectangle(120, 52, 30, 15))
    found = merge_found([(TWO[0], left), (TWO[1], right)], SEGMENTS)
    assert isinstance(found, TextBoxes)
    bounds = [(*polygon.min(axis=0), *polygon.max(axis=0)) for polygon in found.polygons]
    np.testing.assert_allclose(
        bounds, [(10, 10, 150, 30), (5, 50, 45, 65), (120, 52, 150, 67)], atol=1e-3
    )


def test_a_line_that_one_tile_sees_whole_is_as_that_tile_sees_it() -> None:
    left = text_boxes(rectangle(60, 10, 40, 20))
    right = text_boxes(rectangle(83, 11, 60, 18), rectangle(82, 10, 12, 20))
    found = merge_found(
        [(TWO[0], text_boxes(rectangle(84, 10, 14, 20))), (TWO[1], right)], SEGMENTS
    )
    assert len(found) == 2
    assert len(merge_found([(TWO[0], left), (TWO[1], text_boxes())], SEGMENTS)) == 1


def test_what_has_no_place_in_the_frame_cannot_be_tiled() -> None:
    classes = Classes(LABELS, np.array([0]), np.array([0.9]))
    decoder = ClassifyDecoder(output="o", labels=LABELS)
    with pytest.raises(BadInput, match="'classify' cannot look at tiles"):
        merge_found([(TWO[0], classes)], decoder)
    with pytest.raises(BadInput, match="no tiles"):
        merge_found([], decoder)
    with pytest.raises(BadInput, match="different kinds"):
        merge_found([(TWO[0], boxes_of([])), (TWO[1], classes)], BOXES)


def detect(picture: np.ndarray, window: Window, session: Session, preparer: Preparer) -> Boxes:
    prepared = preparer.prepare(picture, window)
    outputs = session.run({COCO.inputs[0].name: prepared.tensor})
    found = decode(outputs, COCO, prepared.transform)
    assert isinstance(found, Boxes)
    return found


COCO_SSD = SAMPLES / "models" / "coco_ssd_mobilenet_v2_300.onnx"
COCO = read_document(COCO_SSD.with_suffix(".manifest.json"), ModelManifest)
PICTURES = ["apple.jpg", "messi5.jpg", "squirrel_cls.jpg", "stuff.jpg", "fruits.jpg", "board.jpg"]


def test_coco_ssd_finds_in_a_mosaic_what_it_finds_in_its_pictures() -> None:
    """Tiles of a picture's size with half of them between two pictures."""
    session = get_runtime(RuntimeName.ONNXRUNTIME).load(COCO_SSD, COCO)
    preparer = Preparer(COCO)
    pictures = [
        cv2.resize(read_picture(SAMPLES / "images" / name), (480, 400)) for name in PICTURES
    ]
    mosaic = np.vstack([np.hstack(pictures[:3]), np.hstack(pictures[3:])])
    plan = plan_tiles((1440, 800), tiles(480, 400, 0.5))
    found = merge_found([(w, detect(mosaic, w, session, preparer)) for w in plan], COCO.decoder)
    assert isinstance(found, Boxes)
    for index in range(6):
        window = (index % 3 * 480, index // 3 * 400, 480, 400)
        alone = detect(mosaic, window, session, preparer)
        overlaps = iou(alone.xyxy, found.xyxy) * (alone.class_id[:, None] == found.class_id)
        assert ((overlaps > 0.9).sum(axis=1) == 1).all()
    itself = iou(found.xyxy, found.xyxy) * (found.class_id[:, None] == found.class_id)
    assert ((itself > 0.5).sum(axis=1) == 1).all()
    assert {"apple", "person", "bird", "sports ball", "orange"} <= {
        COCO.decoder.labels[name] for name in found.class_id
    }


def iou(ones: np.ndarray, others: np.ndarray) -> np.ndarray:
    low = np.maximum(ones[:, None, :2], others[:, :2])
    high = np.minimum(ones[:, None, 2:], others[:, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=2)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (ones, others)]
    return shared / (areas[0][:, None] + areas[1] - shared)
