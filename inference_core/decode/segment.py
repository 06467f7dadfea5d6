"""Per-pixel class scores to connected regions, measured in the frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from inference_core.contract.decoders import SegmentDecoder
from inference_core.contract.manifest import ModelManifest
from inference_core.decode.activation import Probabilities, activate
from inference_core.errors import DecodeFailed
from inference_core.image import Transform
from inference_core.results import Regions

MAX_REGIONS = 1000
"""A picture with more is noise; the largest are kept."""
MAX_POLYGON_POINTS = 200

_CONNECTIVITY = 8
_HALF_PIXEL = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])


@dataclass(frozen=True)
class _Blob:
    """A connected region in tensor pixels. ``contour`` runs through the centres of its rim."""

    class_id: int
    score: float
    area: int
    xywh: tuple[int, int, int, int]
    contour: NDArray[np.float64]


def read_probabilities(output: NDArray[Any], decoder: SegmentDecoder) -> Probabilities:
    """C×H×W probabilities from the output 1×C×H×W. Raises ``DecodeFailed`` for another shape."""
    if output.ndim != 4 or output.shape[:2] != (1, len(decoder.labels)):
        raise DecodeFailed(f"the decoder reads 1×{len(decoder.labels)}×H×W, got {output.shape}")
    return activate(output[0], decoder.activation, axis=0)


def label_pixels(probabilities: Probabilities, decoder: SegmentDecoder) -> NDArray[np.int32]:
    """H×W of class indices: the likeliest class, or background where it is below the threshold."""
    best: NDArray[np.int32] = probabilities.argmax(axis=0).astype(np.int32)
    best[probabilities.max(axis=0) < decoder.threshold] = decoder.background
    return best


def decode(
    outputs: Mapping[str, NDArray[Any]], manifest: ModelManifest, transform: Transform
) -> Regions:
    """The regions of every class but the background, largest first."""
    decoder = manifest.decoder
    if not isinstance(decoder, SegmentDecoder):
        raise DecodeFailed(f"the manifest says {decoder.kind!r}, not 'segment'")
    probabilities = read_probabilities(outputs[decoder.output], decoder)
    classes = _without_padding(label_pixels(probabilities, decoder), decoder, manifest, transform)
    blobs = [
        blob
        for class_id in np.unique(classes).tolist()
        if class_id != decoder.background
        for blob in _find_blobs(classes == class_id, probabilities[class_id], class_id, decoder)
    ]
    blobs.sort(key=lambda blob: blob.area, reverse=True)
    stride = _stride(classes.shape, manifest)
    return _measure(blobs[:MAX_REGIONS], decoder.labels, stride, transform)


def _stride(shape: tuple[int, ...], manifest: ModelManifest) -> tuple[float, float]:
    """Input pixels per output pixel: networks may answer at a coarser grid."""
    width, height = manifest.input_size
    return width / shape[1], height / shape[0]


def _without_padding(
    classes: NDArray[np.int32],
    decoder: SegmentDecoder,
    manifest: ModelManifest,
    transform: Transform,
) -> NDArray[np.int32]:
    """Nothing can be found where the tensor does not show the frame."""
    stride_x, stride_y = _stride(classes.shape, manifest)
    x, y, width, height = transform.content_xywh
    left, right = int(x / stride_x), int(np.ceil((x + width) / stride_x))
    top, bottom = int(y / stride_y), int(np.ceil((y + height) / stride_y))
    shown = np.full_like(classes, decoder.background)
    shown[top:bottom, left:right] = classes[top:bottom, left:right]
    return shown


def _find_blobs(
    mask: NDArray[np.bool_], probability: Probabilities, class_id: int, decoder: SegmentDecoder
) -> list[_Blob]:
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
        if areas[name] >= decoder.min_area_px
    ]


def _outline(
    names: NDArray[np.int32], stat: list[int], name: int, class_id: int, score: float
) -> _Blob:
    x, y, width, height, area = stat
    inside = (names[y : y + height, x : x + width] == name).view(np.uint8)
    contours, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    rim = max(contours, key=len).reshape(-1, 2) + np.array([x + 0.5, y + 0.5])
    return _Blob(class_id, score, area, (x, y, width, height), rim)


def _measure(
    blobs: list[_Blob],
    labels: tuple[str, ...],
    stride: tuple[float, float],
    transform: Transform,
) -> Regions:
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
