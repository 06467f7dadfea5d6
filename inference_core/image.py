"""From a picture to the input tensor of a model, and from its pixels back to the frame's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from inference_core.contract.manifest import ModelManifest, Preprocess
from inference_core.errors import BadInput
from inference_core.fill import TensorWriter
from inference_core.lighting import LIGHTING
from inference_core.picture import MAX_PIXELS, Picture, Window, decode_picture, read_picture

__all__ = [
    "Prepared",
    "Preparer",
    "Region",
    "Transform",
    "Window",
    "cut_out",
    "decode_picture",
    "find_window",
    "place_region",
    "prepare",
    "read_picture",
]

Region = tuple[float, float, float, float]
"""x, y, width, height as shares of the frame."""

Points = NDArray[np.float64]
"""N×2 of x, y. Coordinates are continuous: pixel ``i`` spans ``i`` to ``i + 1``."""

_INTERPOLATION = {
    "linear": cv2.INTER_LINEAR,
    "area": cv2.INTER_AREA,
    "cubic": cv2.INTER_CUBIC,
    "nearest": cv2.INTER_NEAREST,
}
_TALL = 1.5


@dataclass(frozen=True)
class Transform:
    """Where the pixels of an input tensor lie in the frame: scale, then shift, exactly."""

    scale: tuple[float, float]
    """Tensor pixels per frame pixel, x and y."""
    content_xywh: Window
    """The part of the tensor that shows the frame; the rest is padding."""
    looked_at_xywh: Window
    """The part of the frame that was looked at, in its pixels."""

    def to_frame(self, points: Points) -> Points:
        """N×2 points of the tensor to frame pixels."""
        return (points - self.content_xywh[:2]) / self.scale + self.looked_at_xywh[:2]

    def to_tensor(self, points: Points) -> Points:
        """N×2 points of the frame to tensor pixels; inverse of ``to_frame``."""
        return (points - self.looked_at_xywh[:2]) * self.scale + self.content_xywh[:2]

    @property
    def frame_px_per_tensor_px(self) -> float:
        """Area in the frame of one pixel of the tensor."""
        return 1.0 / (self.scale[0] * self.scale[1])


@dataclass(frozen=True)
class Prepared:
    """An input tensor of the manifest's shape and dtype, and the way back."""

    tensor: NDArray[Any]
    transform: Transform


class Preparer:
    """Feeds one model, frame after frame, through the same arrays. Not thread-safe.

    A tensor that it returns is valid until its next call; one more in flight takes one more
    preparer.
    """

    def __init__(self, manifest: ModelManifest) -> None:
        self._preprocess = manifest.preprocess
        self._target = manifest.input_size
        self._writer = TensorWriter(manifest)
        self._scratch = np.empty(3 * self._target[0] * self._target[1], np.uint8)

    def prepare(self, frame: Picture, window: Window | None = None) -> Prepared:
        """Feeds ``frame`` (H×W×3, BGR, uint8), or a window of it.

        Lighting is normalised after resizing, over what is looked at only. Raises ``BadInput``
        for another kind of frame, and for a window that is not inside it.
        """
        whole = _check_frame(frame)
        looked_at = whole if window is None else _check_window(window, whole)
        looked_at, content = _fit(looked_at, self._target, self._preprocess)
        self._writer.write(self._resize(frame, looked_at, content[2:]), content)
        scale = (content[2] / looked_at[2], content[3] / looked_at[3])
        return Prepared(self._writer.tensor, Transform(scale, content, looked_at))

    def _resize(self, frame: Picture, looked_at: Window, size: tuple[int, int]) -> Picture:
        x, y, width, height = looked_at
        part = frame[y : y + height, x : x + width]
        is_lit_as_is = self._preprocess.lighting == "none"
        if is_lit_as_is and (width, height) == size and part.flags.c_contiguous:
            return part
        resized = self._scratch[: 3 * size[0] * size[1]].reshape(size[1], size[0], 3)
        interpolation = _INTERPOLATION[self._preprocess.interpolation]
        cv2.resize(part, size, dst=resized, interpolation=interpolation)
        return LIGHTING[self._preprocess.lighting](resized, resized)


def prepare(frame: Picture, manifest: ModelManifest, region: Region | None = None) -> Prepared:
    """``Preparer.prepare`` once, over a region of the frame; the tensor is the caller's."""
    window = None if region is None else find_window(frame, region)
    return Preparer(manifest).prepare(frame, window)


def find_window(frame: Picture, region: Region) -> Window:
    """``place_region`` on this frame."""
    return place_region(_check_frame(frame)[2:], region)


def place_region(size: tuple[int, int], region: Region) -> Window:
    """A region in whole pixels of a frame of width × height.

    No edge lies further than a pixel from where the region has it; a region thinner than a
    pixel is the pixel under its middle.
    """
    x, across = _find_span(region[0], region[2], size[0])
    y, down = _find_span(region[1], region[3], size[1])
    return x, y, across, down


def cut_out(frame: Picture, polygon: Points) -> Picture:
    """What a 4×2 polygon encloses, clockwise from its top left, made upright: H×W×3.

    As PP-OCR cuts text lines: a cut-out at least 1.5 times as high as wide is turned by 90°
    counter-clockwise, because its text runs downwards. Raises ``BadInput`` for a polygon
    that goes the other way or encloses nothing.
    """
    _check_frame(frame)
    width, height = _measure(np.asarray(polygon, np.float64))
    upright = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    # OpenCV counts from the centre of the first pixel, polygons from its corner.
    corners = np.asarray(polygon, np.float32) - np.float32(0.5)
    matrix = cv2.getPerspectiveTransform(corners, upright - np.float32(0.5))
    cut = cv2.warpPerspective(
        frame, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    if height >= _TALL * width:
        cut = cv2.rotate(cut, cv2.ROTATE_90_COUNTERCLOCKWISE)
    return np.asarray(cut, dtype=np.uint8)


def _measure(polygon: Points) -> tuple[int, int]:
    """Width and height of the cut-out: the longer of each pair of sides, in whole pixels."""
    if polygon.shape != (4, 2) or not np.isfinite(polygon).all():
        raise BadInput(f"a cut-out needs four finite points, not an array of {polygon.shape}")
    sides = np.linalg.norm(polygon - np.roll(polygon, -1, axis=0), axis=1)
    across, down = float(sides[0::2].max()), float(sides[1::2].max())
    if cv2.contourArea(polygon.astype(np.float32), oriented=True) <= 0:
        raise BadInput("a polygon to cut out goes clockwise and encloses something")
    if across * down > MAX_PIXELS:
        raise BadInput(f"a cut-out of {across:.0f}×{down:.0f} pixels is over {MAX_PIXELS}")
    return max(round(across), 1), max(round(down), 1)


def _check_frame(frame: Picture) -> Window:
    """The whole frame as a window."""
    if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8 or not frame.size:
        raise BadInput(f"a frame is H×W×3 of uint8, not {frame.shape} of {frame.dtype}")
    return 0, 0, frame.shape[1], frame.shape[0]


def _check_window(window: Window, whole: Window) -> Window:
    x, y, width, height = window
    if min(x, y) < 0 or min(width, height) < 1 or x + width > whole[2] or y + height > whole[3]:
        raise BadInput(f"the window {window} is not inside a frame of {whole[2]}×{whole[3]}")
    return window


def _find_span(start: float, length: float, side_px: int) -> tuple[int, int]:
    first, last = start * side_px, (start + length) * side_px
    begin, end = max(round(first), 0), min(round(last), side_px)
    if begin >= end:
        begin = min(max(int((first + last) / 2), 0), side_px - 1)
        end = begin + 1
    return begin, end - begin


def _fit(
    looked_at: Window, target: tuple[int, int], preprocess: Preprocess
) -> tuple[Window, Window]:
    """What is looked at in the end, and where it goes in the tensor."""
    mode, (target_width, target_height) = preprocess.resize, target
    whole = (0, 0, target_width, target_height)
    if mode == "stretch":
        return looked_at, whole
    if mode == "crop":
        return _crop(looked_at, target, preprocess.crop_share), whole
    width, height = looked_at[2:]
    ratio = min(target_width / width, target_height / height)
    if mode == "pad_right":
        ratio = target_height / height
    fitted_width = min(max(round(width * ratio), 1), target_width)
    fitted_height = min(max(round(height * ratio), 1), target_height)
    if mode != "letterbox":
        return looked_at, (0, 0, fitted_width, fitted_height)
    left, top = (target_width - fitted_width) // 2, (target_height - fitted_height) // 2
    return looked_at, (left, top, fitted_width, fitted_height)


def _crop(looked_at: Window, target: tuple[int, int], share: float) -> Window:
    """The middle, with the target's aspect ratio, to the nearest pixel."""
    x, y, width, height = looked_at
    ratio = share * min(width / target[0], height / target[1])
    across = min(max(round(target[0] * ratio), 1), width)
    down = min(max(round(target[1] * ratio), 1), height)
    return x + (width - across) // 2, y + (height - down) // 2, across, down
