"""The objects under observation: one row each, one field a column, so that nothing is looped."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Objects = NDArray[np.void]
"""N rows of the type that ``make_row_type`` gives."""
Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
Claims = NDArray[np.bool_]


def make_row_type(classes: int) -> np.dtype[np.void]:
    """What is known of one object; lengths in pixels, times in seconds."""
    columns: list[Any] = [
        ("number", "i8"),  # 0 until the second sighting
        ("sightings", "i8"),
        ("seen_s", "f8"),
        # What was measured: the centre of the box, the last time and the time before.
        ("point", "f8", 2),
        ("point_before", "f8", 2),
        # What is estimated. One variance serves x and y, because their noise is the same.
        ("centre", "f8", 2),
        ("velocity", "f8", 2),
        ("size", "f8", 2),
        ("centre_variance", "f8"),
        ("covariance", "f8"),
        ("velocity_variance", "f8"),
        ("size_variance", "f8"),
        # Scores added up by class: a class that flickers does not make another object.
        ("votes", "f8", (classes,)),
        ("class_id", "i8"),
        # Where it stands to the border: 1 left or inside, -1 right or outside, 0 never looked at.
        ("side", "i1"),
        ("passed_through", "?"),  # its last change of side was between the line's two points
    ]
    return np.dtype(columns)


def make_rows(count: int, row_type: np.dtype[np.void]) -> Objects:
    """Rows that say nothing yet."""
    return np.zeros(count, dtype=row_type)


def boxes_of(objects: Objects) -> Floats:
    """N×4 ``xyxy`` of the estimated places."""
    half = objects["size"] / 2
    return np.concatenate([objects["centre"] - half, objects["centre"] + half], axis=1)
