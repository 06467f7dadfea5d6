"""What all detectors share: from candidate boxes of the tensor to the boxes of the frame."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference_core.contract.decoders import BoxDecoder
from inference_core.contract.manifest import ModelManifest
from inference_core.decode.nms import suppress
from inference_core.decode.scores import Chosen
from inference_core.errors import DecodeFailed
from inference_core.image import Transform
from inference_core.results import Boxes, Floats

_SHOWN_PX = 1e-6
"""A box that shows less of the frame than this, either way, lies in the padding."""


def to_pixels(boxes: NDArray[Any], box_format: str, unit: str, manifest: ModelManifest) -> Floats:
    """K×4 of x0, y0, x1, y1 in pixels of the input tensor.

    ``box_format`` is xyxy, yxyx, cxcywh or xywh; ``unit`` is pixel, or share of the tensor's
    sides.
    """
    exact = np.asarray(boxes, dtype=np.float64)
    if box_format == "yxyx":
        exact = exact[:, [1, 0, 3, 2]]
    elif box_format == "cxcywh":
        middle, half = exact[:, :2], exact[:, 2:] / 2
        exact = np.concatenate([middle - half, middle + half], axis=1)
    elif box_format == "xywh":
        exact = np.concatenate([exact[:, :2], exact[:, :2] + exact[:, 2:]], axis=1)
    return exact * (manifest.input_size * 2) if unit == "share" else exact


def finish(chosen: Chosen, xyxy: Floats, manifest: ModelManifest, transform: Transform) -> Boxes:
    """Merges what overlaps and maps it to the frame; ``xyxy`` are the tensor's pixels.

    What lies wholly in the padding is dropped; the rest is clipped to what was looked at.
    """
    decoder = manifest.decoder
    if not isinstance(decoder, BoxDecoder):
        raise DecodeFailed(f"the manifest says {decoder.kind!r}, which finds no boxes")
    framed = transform.to_frame(xyxy.reshape(-1, 2)).reshape(-1, 4)
    clipped = _clip(framed, transform)
    (shown,) = np.nonzero((clipped[:, 2:] - clipped[:, :2] > _SHOWN_PX).all(axis=1))
    merged = _merge(framed[shown], chosen.score[shown], chosen.class_id[shown], decoder)
    best = shown[merged[: decoder.max_boxes]]
    return Boxes(
        labels=decoder.labels,
        class_id=chosen.class_id[best],
        score=chosen.score[best],
        xyxy=clipped[best],
    )


def _merge(
    xyxy: Floats, score: Floats, class_id: NDArray[np.int64], decoder: BoxDecoder
) -> NDArray[np.intp]:
    """Indices of what stays, highest score first."""
    if not decoder.merges_boxes:
        return np.argsort(-score, kind="stable")
    classes = None if decoder.merges_across_classes else class_id
    return suppress(xyxy, score, classes, decoder.nms_iou)


def _clip(xyxy: Floats, transform: Transform) -> Floats:
    x, y, width, height = transform.looked_at_xywh
    inside = np.maximum(xyxy, (x, y, x, y))
    return np.minimum(inside, (x + width, y + height, x + width, y + height), out=inside)
