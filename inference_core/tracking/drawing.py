"""The border that objects are counted at, drawn over a picture."""

from __future__ import annotations

import cv2
import numpy as np

from inference_core.contract.pipeline import Track
from inference_core.picture import Picture

_YELLOW = (0, 220, 255)


def draw_border(canvas: Picture, track: Track) -> None:
    """Draws the line or the zone onto the canvas."""
    places = track.line or track.zone or ()
    height, width = canvas.shape[:2]
    points = np.rint(np.array(places) * (width, height)).astype(np.int32).reshape(-1, 1, 2)
    cv2.polylines(canvas, [points], track.zone is not None, _YELLOW, 2, cv2.LINE_AA)
