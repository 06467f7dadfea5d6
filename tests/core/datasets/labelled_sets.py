"""Sets with known labels, for round trips between formats."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from hypothesis import strategies as st

from inference_core.datasets.files import open_image
from inference_core.datasets.formats import read_set, write_set
from inference_core.datasets.labelled import LabelledImage, LabelledObject, LabelledSet, bound
from inference_core.datasets.problem import Notes

WIDTH, HEIGHT = 64, 48
LABELS = ("apple", "small screw", "Ø 3 & <bolt>")


def make_picture(path: Path, shade: int = 0, size: tuple[int, int] = (WIDTH, HEIGHT)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((size[1], size[0], 3), shade % 256, np.uint8))
    return path


def make_image(
    folder: Path, name: str, objects: tuple[LabelledObject, ...] | None = (), **fields: Any
) -> LabelledImage:
    path = make_picture(folder / name, shade=sum(name.encode()))
    file = open_image(folder.resolve(), path, name)
    image = LabelledImage(name, path, file.sha256, file.width, file.height, objects=objects)
    return replace(image, **fields)


def pass_through(
    name: str, labelled: LabelledSet, folder: Path
) -> tuple[LabelledSet, tuple[str, ...]]:
    """Written and read again, and what was told on the way."""
    notes = Notes()
    write_set(name, labelled, folder, notes)
    return read_set(name, folder, notes), notes.lines


def index(labelled: LabelledSet) -> dict[tuple[str, str], tuple[LabelledObject, ...] | None]:
    """Objects by subset and stem of the picture's name."""
    return {
        (image.subset, image.name): None
        if image.objects is None
        else tuple(round_object(one) for one in image.objects)
        for image in labelled.images
    }


def round_object(one: LabelledObject) -> LabelledObject:
    """To a ten-thousandth of a pixel: sums and shares of floats differ by less."""
    rings = tuple(tuple((round(x, 4), round(y, 4)) for x, y in ring) for ring in one.rings)
    x0, y0, x1, y1 = (round(side, 4) + 0.0 for side in one.xyxy)
    return replace(one, xyxy=(x0, y0, x1, y1), rings=rings)


def boxes(*, whole: bool) -> st.SearchStrategy[tuple[float, float, float, float]]:
    """Boxes with an area inside the picture."""

    def side(limit: int) -> st.SearchStrategy[tuple[float, float]]:
        number: Any = (
            st.integers(0, limit).map(float)
            if whole
            else st.floats(0, limit, allow_nan=False).map(lambda value: round(value, 3))
        )
        pairs = st.tuples(number, number).map(sorted).filter(lambda pair: pair[1] - pair[0] > 0.01)
        return pairs.map(lambda pair: (pair[0], pair[1]))

    return st.tuples(side(WIDTH), side(HEIGHT)).map(
        lambda sides: (sides[0][0], sides[1][0], sides[0][1], sides[1][1])
    )


def rings() -> st.SearchStrategy[tuple[tuple[float, float], ...]]:
    """Polygons of three to six points with an area."""
    point = st.tuples(
        st.floats(0, WIDTH).map(lambda value: round(value, 2)),
        st.floats(0, HEIGHT).map(lambda value: round(value, 2)),
    )
    return (
        st.lists(point, min_size=3, max_size=6, unique=True)
        .map(tuple)
        .filter(lambda ring: _spans(bound([ring])) and ring[0] != ring[-1])
    )


def _spans(xyxy: tuple[float, float, float, float]) -> bool:
    return xyxy[2] - xyxy[0] > 0.01 and xyxy[3] - xyxy[1] > 0.01


def plain_objects(*, whole: bool) -> st.SearchStrategy[LabelledObject]:
    """Boxes without marks."""
    return st.builds(LabelledObject, st.sampled_from(LABELS), boxes(whole=whole))


def marked_objects() -> st.SearchStrategy[LabelledObject]:
    """What Pascal VOC holds."""
    return st.builds(
        LabelledObject,
        st.sampled_from(LABELS),
        boxes(whole=True),
        difficult=st.booleans(),
        truncated=st.booleans(),
    )


def outlined_objects(most_rings: int) -> st.SearchStrategy[LabelledObject]:
    """Polygons, their boxes the bounds."""
    return st.builds(
        lambda label, shape: LabelledObject(label, bound(shape), tuple(shape)),
        st.sampled_from(LABELS),
        st.lists(rings(), min_size=1, max_size=most_rings),
    )
