"""Flaws drawn onto a picture of a board: scratches, missing metal, a rubbed-out marking.

Every function changes the BGR uint8 HxWx3 picture it is given and, where the flaw is one that the
defect model must find, its uint8 HxW mask too.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Mask = NDArray[np.uint8]
Box = tuple[int, int, int, int]

SCRATCH = 1
MISSING_METAL = 2

# Where this board carries bare metal (x0, y0, x1, y1 in pixels): pins, pads and runs of tracks.
METAL: tuple[Box, ...] = (
    (48, 57, 178, 63),  # U2, both rows of pins
    (48, 103, 178, 110),
    (302, 138, 312, 186),  # U3, four sides
    (351, 138, 362, 186),
    (313, 129, 350, 137),
    (313, 186, 350, 194),
    (360, 310, 488, 324),  # U4, four sides
    (360, 416, 488, 432),
    (341, 330, 357, 412),
    (488, 330, 504, 412),
    (285, 14, 344, 62),  # three pin headers
    (378, 14, 440, 62),
    (472, 14, 532, 62),
    (532, 252, 542, 282),  # U5, pads without a chip
    (578, 252, 590, 282),
    (100, 336, 115, 362),  # P2
    (137, 336, 152, 362),
    (250, 262, 330, 300),  # tracks
    (430, 200, 520, 250),
    (60, 380, 200, 400),
)

# Bare laminate under the solder mask, dark and light end of its range (BGR).
_LAMINATE_DARK = np.array([52, 88, 92], np.float32)
_LAMINATE_LIGHT = np.array([105, 165, 182], np.float32)


def draw_scratch(image: Picture, mask: Mask, rng: np.random.Generator) -> None:
    """Drag something sharp across the board: a groove and the bright edge it throws up."""
    path = _wander(rng, image.shape[1], image.shape[0])
    width = int(rng.integers(3, 6))
    groove = _stroke(mask.shape, path, width)
    edge = _stroke(mask.shape, path + np.array([0, width // 2]), 1)
    dark = rng.random() < 0.4
    tone = rng.uniform(8, 35, 3) if dark else rng.uniform(150, 215) + rng.uniform(-12, 12, 3)
    _blend(image, groove, tone, opacity=rng.uniform(0.7, 0.95))
    _blend(image, edge, np.full(3, rng.uniform(225, 255)), opacity=rng.uniform(0.5, 0.9))
    mask[np.maximum(groove, edge) > 127] = SCRATCH


def remove_metal(image: Picture, mask: Mask, rng: np.random.Generator) -> None:
    """Lay bare the laminate at one place where the board should carry metal."""
    x0, y0, x1, y1 = METAL[rng.integers(len(METAL))]
    centre = rng.uniform((x0, y0), (x1, y1))
    patch = np.zeros(mask.shape, np.uint8)
    cv2.fillPoly(patch, [_blob(centre, rng)], 255, cv2.LINE_AA)
    tone = _LAMINATE_DARK + rng.random() * (_LAMINATE_LIGHT - _LAMINATE_DARK)
    _blend(image, patch, tone + _weave(mask.shape, rng), opacity=0.96)
    mask[patch > 127] = MISSING_METAL


def rub_out(image: Picture, box: Box, rng: np.random.Generator) -> None:
    """Sand the marking off the chip; the defect mask does not change, for the chip still works."""
    x0, y0, x1, y1 = box
    chip = image[y0:y1, x0:x1]
    plastic = np.percentile(chip.reshape(-1, 3), 35, axis=0)
    grain = rng.normal(0, 5, chip.shape[:2]).astype(np.float32)
    sanded = plastic + cv2.GaussianBlur(grain, (5, 1), 0)[..., None]
    chip[:] = np.clip(sanded, 0, 255).astype(np.uint8)


def _wander(rng: np.random.Generator, width: int, height: int) -> NDArray[np.int32]:
    """A nearly straight walk of Nx2 points, as a slipping tool or a dragged part leaves."""
    point = rng.uniform((30, 30), (width - 30, height - 30))
    heading, step = rng.uniform(0, 2 * np.pi), rng.uniform(14, 42)
    turns = heading + np.cumsum(rng.normal(0, 0.18, int(rng.integers(3, 6))))
    steps = step * np.stack([np.cos(turns), np.sin(turns)], axis=1)
    path = np.vstack([point, point + np.cumsum(steps, axis=0)])
    return np.rint(path).astype(np.int32)


def _stroke(shape: tuple[int, ...], path: NDArray[np.int32], width: int) -> Mask:
    """Coverage 0-255 of a line along the path; smooth, as a lens would see it."""
    coverage = np.zeros(shape, np.uint8)
    cv2.polylines(coverage, [path.astype(np.int32)], False, 255, width, cv2.LINE_AA)
    return coverage


def _blob(centre: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int32]:
    """A ragged round outline of 12x2 points, 12 to 32 pixels across."""
    angle = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    radius = rng.uniform((6.5, 6.0), (16.0, 12.0)) * rng.uniform(0.85, 1.15, (12, 1))
    outline = centre + radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return np.asarray(np.rint(outline), np.int32)


def _weave(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float32]:
    """Texture of glass-fibre laminate, HxWx1 around zero: coarse blotches and fine grain."""
    coarse = rng.normal(0, 9, (shape[0] // 8, shape[1] // 8)).astype(np.float32)
    fine = rng.normal(0, 5, shape).astype(np.float32)
    return (cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_LINEAR) + fine)[..., None]


def _blend(image: Picture, coverage: Mask, tone: NDArray[np.floating], opacity: float) -> None:
    alpha = coverage[..., None].astype(np.float32) * np.float32(opacity / 255)
    image[:] = np.clip(image + alpha * (tone - image), 0, 255).astype(np.uint8)
