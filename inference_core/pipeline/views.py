"""Where a stage looks: the frame, a region of it, its tiles, or what another stage found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from inference_core.contract.pipeline import Stage
from inference_core.contract.results import StageResult
from inference_core.errors import DecodeFailed
from inference_core.image import Window, cut_out, find_window
from inference_core.picture import Picture
from inference_core.pipeline.frames import Frame
from inference_core.results import Floats, Found, StageFields, TextLines

MAX_CROPS = 256
"""More would keep the line waiting; the part fails and the reason says so."""

_MAX_FOUND = 1000


@dataclass(frozen=True)
class View:
    """One picture for the model."""

    picture: Picture
    window: Window | None = None
    """The part of ``picture`` that is looked at; None is all of it."""
    outline: Floats | None = None
    """4×2 in frame pixels: what it shows, where another stage found that."""


def see_whole(stage: Stage, frame: Frame) -> View:
    """The frame, or the stage's region of it."""
    window = None if stage.region is None else find_window(frame.picture, stage.region)
    return View(frame.picture, window)


def see_crops(frame: Frame, earlier: StageResult) -> Iterator[View]:
    """Each box and text box that an earlier stage found. Raises ``DecodeFailed`` for too many."""
    count = len(earlier.boxes) + len(earlier.text_boxes)
    if count > MAX_CROPS:
        raise DecodeFailed(f"stage {earlier.stage!r} found {count} places, over {MAX_CROPS}")
    for box in earlier.boxes:
        yield _see_box(frame.picture, box.xyxy)
    for text_box in earlier.text_boxes:
        polygon = np.array(text_box.polygon, dtype=np.float64)
        yield View(cut_out(frame.picture, polygon), outline=polygon)


def place(found: Found, view: View) -> Found:
    """The text of a cut-out stands where the cut-out was found."""
    if view.outline is None or not isinstance(found, TextLines):
        return found
    return replace(found, polygons=tuple(view.outline for _ in found.polygons))


def join(founds: Iterable[StageFields]) -> StageFields:
    """What was found in all crops, in their order: of a classifier the likeliest class of each."""
    joined: StageFields = {}
    for fields in founds:
        for name, value in fields.items():
            if name == "anomaly_score":
                joined[name] = max(value, joined.get(name, 0.0))
            else:
                joined[name] = joined.get(name, ()) + (value[:1] if name == "classes" else value)
    return joined


def check_limits(stage: Stage, fields: StageFields) -> None:
    """Raises ``DecodeFailed`` where more was found than a result may hold."""
    for name, value in fields.items():
        if isinstance(value, tuple) and len(value) > _MAX_FOUND:
            raise DecodeFailed(f"stage {stage.id!r} found {len(value)} {name}, over {_MAX_FOUND}")


def _see_box(picture: Picture, xyxy: tuple[float, float, float, float]) -> View:
    left, top, right, bottom = xyxy
    height, width = picture.shape[:2]
    shares = (left / width, top / height, (right - left) / width, (bottom - top) / height)
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    return View(picture, find_window(picture, shares), np.array(corners, dtype=np.float64))
