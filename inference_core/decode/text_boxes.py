"""A text probability map to rotated boxes (Liao et al., Differentiable Binarization, AAAI 2020)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from inference_core.contract.decoders import TextBoxesDecoder
from inference_core.contract.manifest import ModelManifest
from inference_core.errors import DecodeFailed
from inference_core.image import Transform
from inference_core.results import Floats, TextBoxes

_MAX_CONTOURS = 4000
"""A map with more is noise; the largest are kept."""

_SAME_ROW = 0.5
"""Boxes whose middles differ by less than this share of their height stand in one row."""


@dataclass(frozen=True)
class _Rectangle:
    """A rotated rectangle in cells of the map."""

    centre: tuple[float, float]
    sides: tuple[float, float]
    angle: float

    @property
    def corners(self) -> NDArray[np.float32]:
        return np.asarray(cv2.boxPoints((self.centre, self.sides, self.angle)), dtype=np.float32)

    def grow(self, ratio: float) -> _Rectangle:
        """Each side moved out by area · ratio / perimeter: DB learns shrunken text.

        Offsetting a rectangle with round corners and taking the tightest rectangle around the
        result, as the paper's authors do, gives just this one.
        """
        width, height = self.sides
        distance = width * height * ratio / (2 * (width + height))
        return _Rectangle(self.centre, (width + 2 * distance, height + 2 * distance), self.angle)


def decode(
    outputs: Mapping[str, NDArray[Any]], manifest: ModelManifest, transform: Transform
) -> TextBoxes:
    """The boxes in reading order, clipped to what was looked at.

    Raises ``DecodeFailed`` where the output is no 1×1×H×W.
    """
    decoder = manifest.decoder
    if not isinstance(decoder, TextBoxesDecoder):
        raise DecodeFailed(f"the manifest says {decoder.kind!r}, not 'text_boxes'")
    output = outputs[decoder.output]
    if output.ndim != 4 or output.shape[:2] != (1, 1):
        raise DecodeFailed(f"text boxes are read from 1×1×H×W, got {output.shape}")
    probability = np.ascontiguousarray(output[0, 0], dtype=np.float32)
    stride = np.array(manifest.input_size) / probability.shape[::-1]
    found = [
        (score, polygon)
        for score, corners in _find(probability, decoder)
        if (polygon := _place(corners * stride, transform)) is not None
    ]
    ordered = sort_for_reading(found[: decoder.max_boxes])
    return TextBoxes(
        score=np.array([score for score, _ in ordered], dtype=np.float64),
        polygons=tuple(polygon for _, polygon in ordered),
    )


def _find(
    probability: NDArray[np.float32], decoder: TextBoxesDecoder
) -> list[tuple[float, Floats]]:
    """Score and corners in cells, best first."""
    bitmap = (probability > decoder.threshold).view(np.uint8)
    contours, _ = cv2.findContours(bitmap, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    largest = sorted(contours, key=len, reverse=True)[:_MAX_CONTOURS]
    found = []
    for contour in largest:
        (x, y), (width, height), angle = cv2.minAreaRect(contour)
        core = _Rectangle((x, y), (width, height), angle)
        if min(core.sides) < decoder.min_side_px:
            continue
        score = _mean_inside(probability, core.corners)
        if score >= decoder.box_threshold:
            # A contour runs through the middles of cells.
            found.append((score, core.grow(decoder.unclip_ratio).corners.astype(np.float64) + 0.5))
    return sorted(found, key=lambda pair: -pair[0])


def _mean_inside(probability: NDArray[np.float32], corners: NDArray[np.float32]) -> float:
    rows, columns = probability.shape
    left, top = np.clip(np.floor(corners.min(axis=0)).astype(int), 0, (columns - 1, rows - 1))
    right, bottom = np.clip(np.ceil(corners.max(axis=0)).astype(int), 0, (columns - 1, rows - 1))
    mask = np.zeros((bottom - top + 1, right - left + 1), dtype=np.uint8)
    cv2.fillPoly(mask, [(corners - (left, top)).astype(np.int32)], (1,))
    window = probability[top : bottom + 1, left : right + 1]
    return float(window[mask.view(bool)].mean()) if mask.any() else 0.0


def _place(corners: Floats, transform: Transform) -> Floats | None:
    """Frame pixels, clockwise from the top left; None for a box in the padding."""
    x, y, width, height = transform.looked_at_xywh
    polygon = transform.to_frame(corners)
    middle = polygon.mean(axis=0)
    if not (x <= middle[0] <= x + width and y <= middle[1] <= y + height):
        return None
    return from_top_left(np.clip(polygon, (x, y), (x + width, y + height)))


def from_top_left(corners: Floats) -> Floats:
    """Of the two left corners the upper one first; ``boxPoints`` runs clockwise already."""
    by_x = np.argsort(corners[:, 0], kind="stable")
    first = min(by_x[:2], key=lambda index: corners[index, 1])
    return np.roll(corners, -int(first), axis=0)


def sort_for_reading(found: list[tuple[float, Floats]]) -> list[tuple[float, Floats]]:
    """Rows from the top, and from the left within a row."""
    waiting = sorted(found, key=lambda pair: float(pair[1][:, 1].mean()))
    ordered: list[tuple[float, Floats]] = []
    while waiting:
        top = waiting[0][1][:, 1]
        limit = top.mean() + _SAME_ROW * (top.max() - top.min())
        row = [pair for pair in waiting if pair[1][:, 1].mean() <= limit]
        waiting = waiting[len(row) :]
        ordered += sorted(row, key=lambda pair: float(pair[1][:, 0].min()))
    return ordered
