"""Reads the masks of golden samples."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from inference_core.datasets import DatasetError, Sample


def read_mask(sample: Sample, judged: str) -> NDArray[np.uint8]:
    """H×W of class indices. ``DatasetError`` where there is none, or it is no such PNG."""
    if sample.mask is None:
        raise DatasetError(f"{sample.name} has no mask to judge {judged} by")
    mask = cv2.imread(str(sample.mask), cv2.IMREAD_UNCHANGED)
    if mask is None or mask.ndim != 2 or mask.dtype != np.uint8:
        raise DatasetError(f"{sample.mask.name} is no PNG with one channel of 8 bits")
    return np.asarray(mask, np.uint8)
