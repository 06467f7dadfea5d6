"""Connected regions of a picture: found in tensor pixels, measured in the frame."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from inference_core.contract.manifest import ModelManifest
from inference_core.decode.activation import Probabilities
from inference_core.image import Transform
from inference_core.results import Regions

MAX_REGIONS = 1000
"""A picture with more is noise; the largest are kept."""
MAX_POLYGON_POINTS = 200

_CONNECTIVITY = 8
_HALF_PIXEL = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])


@dataclass(frozen=True)
class Blob:
    """A connected region in tensor pixels. ``contour`` runs through the centres of its rim."""

    class_id: int
    score: float
    area: int
    xywh: tuple[int, int, int, int]
    contour: NDArray[np.float64]


def stride_of(shape: tuple[int, ...], manifest: ModelManifest) -> tuple[float, float]:
    """Input pixels per pixel of an H×W output, x and y: networks may answer at a coarser grid."""
    width, height = manifest.input_size
    return width / shape[1], height / shape[0]


def shown_part(
    shape: tuple[int, ...], manifest: ModelManifest, transform: Transform
) -> tuple[slice, slice]:
    """Rows and columns of an H×W output that show the frame: in the padding nothing is found."""
    stride_x, stride_y = stride_of(shape, manifest)
    x, y, width, height = transform.content_xywh
    rows = slice(int(y / stride_y), int(np.ceil((y + height) / stride_y)))
    return rows, slice(int(x / stride_x), int(np.ceil((x + width) / stride_x)))


def find_blobs(
    mask: NDArray[np.bool_], probability: Probabilities, class_id: int, min_area_px: int
) -> list[Blob]:
    """The largest connected regions of an H×W mask, scored by their mean ``probability``."""
    count, found, stats, _ = cv2.connectedComponentsWithStats(
        mask.view(np.uint8), connectivity=_CONNECTIVITY
    )
    names = np.asarray(found, dtype=np.int32)
    sums = np.bincount(names.ravel(), weights=probability.ravel(), minlength=count)
    areas = stats[:, cv2.CC_STAT_AREA]
    by_size = np.argsort(-areas[1:], kind="stable")[:MAX_REGIONS] + 1
    return [
        _outline(names, stats[name].tolist(), name, class_id, float(sums[name] / areas[name]))
        for name in by_size.tolist()
        if areas[name] >= min_area_px
    ]


def _outline(
    names: NDArray[np.int32], stat: list[int], name: int, class_id: int, score: float
) -> Blob:
    x, y, width, height, area = stat
    inside = (names[y : y + height, x : x + width] == name).view(np.uint8)
    contours, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    rim = max(contours, key=len).reshape(-1, 2) + np.array([x + 0.5, y + 0.5])
    return Blob(class_id, score, area, (x, y, width, height), rim)


def measure(
    blobs: list[Blob],
    labels: tuple[str, ...],
    stride: tuple[float, float],
    transform: Transform,
) -> Regions:
    """The blobs in frame pixels, largest first; of more than ``MAX_REGIONS`` the largest."""
    blobs = sorted(blobs, key=lambda blob: blob.area, reverse=True)[:MAX_REGIONS]

    def to_frame(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return transform.to_frame(points * stride)

    corners = np.array(
        [[x, y, x + width, y + height] for x, y, width, height in (blob.xywh for blob in blobs)],
        dtype=np.float64,
    ).reshape(-1, 2)
    cell_px = stride[0] * stride[1] * transform.frame_px_per_tensor_px
    return Regions(
        labels=labels,
        class_id=np.array([blob.class_id for blob in blobs], dtype=np.int64),
        score=np.array([blob.score for blob in blobs], dtype=np.float64),
        xyxy=to_frame(corners).reshape(-1, 4),
        area_px=np.array([blob.area for blob in blobs], dtype=np.float64) * cell_px,
        length_px=np.array(
            [_length(to_frame(_cells(blob.contour))) for blob in blobs], dtype=np.float64
        ),
        polygons=tuple(_simplify(to_frame(blob.contour)) for blob in blobs),
    )


def _cells(contour: NDArray[np.float64]) -> NDArray[np.float64]:
    """All corners of the pixels on the rim, so that a line of N pixels is N long."""
    corners: NDArray[np.float64] = contour[:, None] + _HALF_PIXEL[None]
    return corners.reshape(-1, 2)


def _length(points: NDArray[np.float64]) -> float:
    _, sides, _ = cv2.minAreaRect(points.astype(np.float32))
    return float(max(sides))


def _simplify(contour: NDArray[np.float64]) -> NDArray[np.float64]:
    """Douglas–Peucker within a pixel of the frame, more where the polygon stays too long."""
    tolerance_px = 1.0
    while True:
        simple = cv2.approxPolyDP(contour.astype(np.float32), tolerance_px, closed=True)
        if len(simple) <= MAX_POLYGON_POINTS:
            return np.asarray(simple, dtype=np.float64).reshape(-1, 2)
        tolerance_px *= 2
