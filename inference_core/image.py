"""From a picture to the input tensor of a model, and from its pixels back to the frame's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from inference_core.contract.manifest import ModelManifest, Preprocess
from inference_core.errors import BadInput
from inference_core.lighting import LIGHTING
from inference_core.picture import Picture, decode_picture, read_picture

__all__ = ["Prepared", "Region", "Transform", "decode_picture", "prepare", "read_picture"]

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


@dataclass(frozen=True)
class Transform:
    """Where the pixels of an input tensor lie in the frame: scale, then shift, exactly."""

    scale: tuple[float, float]
    """Tensor pixels per frame pixel, x and y."""
    content_xywh: tuple[int, int, int, int]
    """The part of the tensor that shows the frame; the rest is padding."""
    looked_at_xywh: tuple[int, int, int, int]
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


def prepare(frame: Picture, manifest: ModelManifest, region: Region | None = None) -> Prepared:
    """Feeds ``frame`` (H×W×3, BGR, uint8), or a region of it, to the model of ``manifest``.

    Lighting is normalised after resizing, over the region only.
    """
    looked_at = _locate(frame, region)
    x, y, width, height = looked_at
    content = _fit((width, height), manifest.input_size, manifest.preprocess.resize)
    scale = (content[2] / width, content[3] / height)
    resized = cv2.resize(
        frame[y : y + height, x : x + width],
        content[2:],
        interpolation=_INTERPOLATION[manifest.preprocess.interpolation],
    )
    lit = LIGHTING[manifest.preprocess.lighting](np.asarray(resized, dtype=np.uint8))
    return Prepared(_fill(lit, content, manifest), Transform(scale, content, looked_at))


def _locate(frame: Picture, region: Region | None) -> tuple[int, int, int, int]:
    """A region in whole pixels, at least one each way."""
    if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8 or not frame.size:
        raise BadInput(f"a frame is H×W×3 of uint8, not {frame.shape} of {frame.dtype}")
    height, width = frame.shape[:2]
    if region is None:
        return 0, 0, width, height
    left, top = min(round(region[0] * width), width - 1), min(round(region[1] * height), height - 1)
    right = min(round((region[0] + region[2]) * width), width)
    bottom = min(round((region[1] + region[3]) * height), height)
    return left, top, max(right - left, 1), max(bottom - top, 1)


def _fit(source: tuple[int, int], target: tuple[int, int], mode: str) -> tuple[int, int, int, int]:
    """x, y, width, height of the resized picture in the tensor."""
    (width, height), (target_width, target_height) = source, target
    if mode == "stretch":
        return 0, 0, target_width, target_height
    if mode == "pad_right":
        fitted = min(max(round(width * target_height / height), 1), target_width)
        return 0, 0, fitted, target_height
    ratio = min(target_width / width, target_height / height)
    fitted_width = min(max(round(width * ratio), 1), target_width)
    fitted_height = min(max(round(height * ratio), 1), target_height)
    left, top = (target_width - fitted_width) // 2, (target_height - fitted_height) // 2
    return left, top, fitted_width, fitted_height


def _fill(
    picture: Picture, content: tuple[int, int, int, int], manifest: ModelManifest
) -> NDArray[Any]:
    """The tensor with ``(pixel * scale - mean) / std`` in it; padding is a pixel value too."""
    spec, preprocess = manifest.inputs[0], manifest.preprocess
    tensor = np.empty(spec.fixed_shape, dtype=np.float32)
    planes = tensor[0] if preprocess.layout == "nchw" else tensor[0].transpose(2, 0, 1)
    sources = _split(picture, preprocess)
    if len(planes) != len(sources):
        raise BadInput(f"the input has {len(planes)} channels, the manifest says {len(sources)}")
    x, y, width, height = content
    padded = (height, width) != planes.shape[1:]
    for plane, source, (gain, bias) in zip(
        planes, sources, _gains(preprocess, len(sources)), strict=True
    ):
        if padded:
            plane.fill(preprocess.pad_value * gain + bias)
        inside = plane[y : y + height, x : x + width]
        np.multiply(source, np.float32(gain), out=inside, dtype=np.float32)
        inside += np.float32(bias)
    return _cast(tensor, spec.dtype)


def _split(picture: Picture, preprocess: Preprocess) -> list[NDArray[Any]]:
    if preprocess.colour == "gray":
        return [cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)]
    planes = list(cv2.split(picture))
    return planes[::-1] if preprocess.colour == "rgb" else planes


def _gains(preprocess: Preprocess, channels: int) -> list[tuple[float, float]]:
    """``(pixel * scale - mean) / std`` as one multiplication and one addition a channel."""
    mean = np.broadcast_to(preprocess.mean, channels)
    std = np.broadcast_to(preprocess.std, channels)
    return [
        (preprocess.scale / float(s), -float(m) / float(s)) for m, s in zip(mean, std, strict=True)
    ]


def _cast(tensor: NDArray[Any], dtype: str) -> NDArray[Any]:
    if dtype == "float32":
        return tensor
    if dtype == "float16":
        return tensor.astype(np.float16)
    limits = np.iinfo(dtype)
    whole: NDArray[Any] = np.clip(np.rint(tensor), limits.min, limits.max).astype(dtype)
    return whole
