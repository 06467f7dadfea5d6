"""F1 of found places of text: how many are right, and how many were found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference_core.metrics.overlap import match_greedily, polygon_iou

MIN_IOU = 0.5
"""As in the ICDAR competitions on text in the wild (Karatzas et al., 2015)."""


@dataclass(frozen=True)
class TextBoxCounts:
    """Places of text in one picture."""

    hits: int
    found: int
    truth: int


def count_text_boxes(
    truth: Sequence[NDArray[np.float64]], found: Sequence[NDArray[np.float64]]
) -> TextBoxCounts:
    """Polygons of K×2 points; a found one and a true one match once, at IoU 0.5."""
    pairs = match_greedily(polygon_iou(truth, found), MIN_IOU)
    return TextBoxCounts(len(pairs), len(found), len(truth))


def measure_text_boxes(pictures: Iterable[TextBoxCounts]) -> float:
    """F1 = 2 · hits / (found + truth) over all pictures; 1.0 where nothing is and nothing found."""
    counts = list(pictures)
    places = sum(one.found + one.truth for one in counts)
    return 2 * sum(one.hits for one in counts) / places if places else 1.0
