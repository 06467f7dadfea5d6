"""Of boxes that show the same object, the one with the highest score."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from inference_core.decode.scores import MAX_CANDIDATES
from inference_core.results import Floats

_FAR_PX = 1e6
"""No picture reaches so far; larger numbers would lose the digits that tell boxes apart."""


def suppress(
    xyxy: Floats, score: Floats, class_id: NDArray[np.int64] | None, iou: float
) -> NDArray[np.intp]:
    """Greedy non-maximum suppression: indices of the N×4 boxes that stay, highest score first.

    A box goes where it overlaps a better one of its class (of any, where ``class_id`` is None)
    by more than ``iou``, intersection over union. Of equal scores the first wins. Boxes that
    score 0 go too, and all after the best ``MAX_CANDIDATES``.
    """
    # Sorted here: OpenCV compares in single precision.
    order = np.argsort(-score, kind="stable")[:MAX_CANDIDATES]
    rectangles = np.clip(xyxy[order], -_FAR_PX, _FAR_PX)
    rectangles[:, 2:] -= rectangles[:, :2]
    classes = np.zeros(len(xyxy)) if class_id is None else class_id
    # Ten times as fast as numpy at a hundred boxes, with the same answer: tests hold it to that.
    # Arrays are taken as they are; the stubs know lists alone.
    merge: Callable[..., Sequence[int]] = cv2.dnn.NMSBoxesBatched
    kept = merge(
        rectangles,
        score[order].astype(np.float32),
        classes[order].astype(np.int32),
        score_threshold=0.0,
        nms_threshold=iou,
    )
    return order[np.asarray(kept, dtype=np.intp)]
