"""Lighting normalisation of a BGR picture."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from inference_core.picture import Picture

_LEVELS = np.arange(256, dtype=np.float32)


def balance_gray_world(picture: Picture, out: Picture | None = None) -> Picture:
    """Scales each channel so that the mean colour is grey (Buchsbaum 1980)."""
    means = np.asarray(cv2.mean(picture)[:3], dtype=np.float32)
    gains = means.mean() / np.maximum(means, 1.0)
    table = np.clip(np.rint(_LEVELS[:, None] * gains), 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(picture, table[None], dst=out), dtype=np.uint8)


def equalise_contrast(picture: Picture, out: Picture | None = None) -> Picture:
    """CLAHE on lightness only, clip 2, 8×8 tiles (Zuiderveld 1994); colours stay."""
    lab = cv2.cvtColor(picture, cv2.COLOR_BGR2LAB)
    lightness = cv2.extractChannel(lab, 0)
    cv2.createCLAHE(clipLimit=2.0, tileGridSize=(8, 8)).apply(lightness, dst=lightness)
    cv2.insertChannel(lightness, lab, 0)
    return np.asarray(cv2.cvtColor(lab, cv2.COLOR_LAB2BGR, dst=out), dtype=np.uint8)


def _leave(picture: Picture, out: Picture | None = None) -> Picture:
    del out
    return picture


LIGHTING: dict[str, Callable[[Picture, Picture | None], Picture]] = {
    "none": _leave,
    "gray_world": balance_gray_world,
    "clahe": equalise_contrast,
}
"""By the manifest's word; the second argument may be the first, to work in place."""
