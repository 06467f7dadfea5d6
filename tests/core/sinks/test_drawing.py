"""What is drawn can be seen, and nothing that a result may hold breaks the drawing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference_core.contract.results import (
    BoxResult,
    ClassResult,
    Counts,
    RegionResult,
    StageLatency,
    StageResult,
    TextBoxResult,
    TextLineResult,
)
from inference_core.pipeline.sinks import draw_result, encode_jpeg

from .results import result

LATENCY = StageLatency(preprocess=0, infer=1, postprocess=0, total=1)
SQUARE = ((60.0, 80.0), (140.0, 80.0), (140.0, 120.0), (60.0, 120.0))
FOUND = {
    "a box": {"boxes": (BoxResult(label="screw", class_id=3, score=0.9, xyxy=(60, 80, 140, 120)),)},
    "a text box": {"text_boxes": (TextBoxResult(score=0.9, polygon=SQUARE),)},
    "a line": {"lines": (TextLineResult(text="TDA1517P", score=0.9, polygon=SQUARE),)},
    "a region": {
        "regions": (
            RegionResult(
                label="dent", score=0.8, xyxy=(60, 80, 140, 120), polygon=SQUARE, area_px=3200
            ),
        )
    },
    "a class": {"classes": (ClassResult(label="good", class_id=0, score=0.7),)},
    "an anomaly": {"anomaly_score": 0.4},
    "counts": {"counts": Counts(entered={"screw": 3})},
    "a stage that did not run": {"skipped": True},
}


def draw(picture: np.ndarray, *stages: dict[str, object]) -> np.ndarray:
    made = tuple(StageResult(stage="look", latency_ms=LATENCY, **stage) for stage in stages)
    return draw_result(picture, result().model_copy(update={"stages": made}))


@pytest.mark.parametrize("found", FOUND.values(), ids=FOUND.keys())
def test_everything_that_is_found_can_be_seen(found: dict[str, object]) -> None:
    picture = np.full((200, 320, 3), 90, np.uint8)
    plain = draw(picture, {})
    assert (draw(picture, found) != plain).any(axis=2).sum() > 50
    assert (picture == 90).all()


def test_a_box_is_drawn_where_it_is() -> None:
    picture = np.full((200, 320, 3), 90, np.uint8)
    rows, columns = np.nonzero((draw(picture, FOUND["a box"]) != draw(picture, {})).any(axis=2))
    assert abs(rows.max() - 120) <= 1
    assert abs(columns.min() - 60) <= 1


def test_a_track_shows_its_number_and_each_class_its_colour() -> None:
    picture = np.full((200, 320, 3), 90, np.uint8)
    box = BoxResult(label="screw", class_id=3, score=0.9, xyxy=(60, 80, 140, 120))
    followed, other = (
        box.model_copy(update=change) for change in ({"track_id": 7}, {"class_id": 4})
    )
    drawings = [draw(picture, {"boxes": (one,)}) for one in (box, followed, other)]
    assert (drawings[0] != drawings[1]).any()
    assert tuple(drawings[0][100, 60]) != tuple(drawings[2][100, 60])


coordinates = st.floats(-1e4, 1e4)


@given(
    st.lists(st.tuples(coordinates, coordinates), max_size=6).map(tuple),
    st.tuples(coordinates, coordinates, coordinates, coordinates),
    st.text(max_size=300),
    st.tuples(st.integers(1, 60), st.integers(1, 60)),
)
@settings(deadline=None, max_examples=60)
def test_no_result_breaks_the_drawing(
    polygon: tuple[tuple[float, float], ...],
    xyxy: tuple[float, float, float, float],
    text: str,
    shape: tuple[int, int],
) -> None:
    box = BoxResult(label=text, class_id=10**6, score=0.5, xyxy=xyxy, track_id=10**9)
    region = RegionResult(label=text, score=0.5, xyxy=xyxy, polygon=polygon, area_px=1, area_mm2=1)
    line = TextLineResult(text=text, score=0.5, polygon=polygon)
    place = TextBoxResult(score=0.5, polygon=polygon)
    stage = {"boxes": (box,), "regions": (region,), "lines": (line,), "text_boxes": (place,)}
    drawn = draw(np.zeros((*shape, 3), np.uint8), stage)
    assert drawn.shape == (*shape, 3)
    assert encode_jpeg(drawn).startswith(b"\xff\xd8")
