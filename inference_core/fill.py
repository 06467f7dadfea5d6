"""Pixels to numbers: a picture written into the input tensor of a model, in place."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from inference_core.contract.manifest import ModelManifest, Preprocess
from inference_core.errors import BadInput
from inference_core.picture import Picture, Window

Planes = NDArray[np.uint8]


class TensorWriter:
    """Owns one input tensor with its scratch arrays, and writes picture after picture into it."""

    def __init__(self, manifest: ModelManifest) -> None:
        spec, preprocess = manifest.inputs[0], manifest.preprocess
        self._is_planar = preprocess.layout == "nchw"
        self._colour = preprocess.colour
        self._width, self._height = manifest.input_size
        channels = 1 if preprocess.colour == "gray" else 3
        found = spec.fixed_shape[1 if self._is_planar else 3]
        if found != channels:
            raise BadInput(f"the input has {found} channels, the manifest says {channels}")
        self._gains, self._biases = _find_gains(preprocess, channels)
        self.tensor: NDArray[Any] = np.zeros(spec.fixed_shape, spec.dtype)
        self._values = self.tensor if self._needs_no_cast() else np.zeros(spec.fixed_shape, "f4")
        self._scratch = np.empty(channels * self._width * self._height, np.uint8)
        self._pad = np.float32(preprocess.pad_value) * self._gains + self._biases
        self._padded_around: Window = (0, 0, self._width, self._height)

    def write(self, picture: Picture, content: Window) -> None:
        """``(pixel * scale - mean) / std`` at ``content``; around it padding, a pixel value too.

        ``picture`` is contiguous BGR, of the size of ``content``.
        """
        self._pad_around(content)
        if self._is_planar:
            self._write_planes(picture, content)
        else:
            self._write_rows(picture, content)
        if self._values is not self.tensor:
            _cast(self._values, self.tensor)

    def _needs_no_cast(self) -> bool:
        is_unchanged = bool((self._gains == 1).all() and (self._biases == 0).all())
        return self.tensor.dtype == np.float32 or (self.tensor.dtype == np.uint8 and is_unchanged)

    def _pad_around(self, content: Window) -> None:
        """Frames of one size share their padding: it is written when the content moves."""
        if content == self._padded_around:
            return
        shape = (-1, 1, 1) if self._is_planar else (-1,)
        np.copyto(self._values[0], self._pad.reshape(shape), casting="unsafe")
        self._padded_around = content

    def _write_planes(self, picture: Picture, content: Window) -> None:
        x, y, width, height = content
        inside = self._values[0, :, y : y + height, x : x + width]
        sources = self._split(picture, width, height)
        if self._colour == "rgb":
            sources = sources[::-1]
        for source, gain, bias, plane in zip(
            sources, self._gains, self._biases, inside, strict=True
        ):
            _scale(source, gain, bias, plane)

    def _split(self, picture: Picture, width: int, height: int) -> Planes:
        planes = self._view(height, width, leading=True)
        if self._colour == "gray":
            cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY, dst=planes[0])
        else:
            cv2.split(picture, list(planes))
        return planes

    def _write_rows(self, picture: Picture, content: Window) -> None:
        """Channels lie side by side: a row is one long run of numbers."""
        x, y, width, height = content
        channels = len(self._gains)
        rows = self._values[0].reshape(self._height, self._width * channels)
        inside = rows[y : y + height, x * channels : (x + width) * channels]
        source = self._arrange(picture, width, height).reshape(inside.shape)
        if (self._gains == self._gains[0]).all() and (self._biases == self._biases[0]).all():
            _scale(source, self._gains[0], self._biases[0], inside)
        else:
            np.multiply(source, np.tile(self._gains, width), out=inside, dtype=np.float32)
            np.add(inside, np.tile(self._biases, width), out=inside)

    def _arrange(self, picture: Picture, width: int, height: int) -> Planes:
        if self._colour == "bgr":
            return picture
        code = cv2.COLOR_BGR2RGB if self._colour == "rgb" else cv2.COLOR_BGR2GRAY
        arranged = self._view(height, width, leading=False)
        cv2.cvtColor(picture, code, dst=arranged)
        return arranged

    def _view(self, height: int, width: int, *, leading: bool) -> Planes:
        channels = len(self._gains)
        shape = (channels, height, width) if leading else (height, width, channels)
        return self._scratch[: channels * height * width].reshape(shape)


def _find_gains(
    preprocess: Preprocess, channels: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """``(pixel * scale - mean) / std`` as one multiplication and one addition a channel."""
    mean = np.broadcast_to(np.asarray(preprocess.mean, np.float64), channels)
    std = np.broadcast_to(np.asarray(preprocess.std, np.float64), channels)
    return (preprocess.scale / std).astype(np.float32), (-mean / std).astype(np.float32)


def _scale(source: Planes, gain: np.float32, bias: np.float32, out: NDArray[Any]) -> None:
    if gain == 1 and bias == 0:
        np.copyto(out, source)
        return
    np.multiply(source, gain, out=out, dtype=np.float32)
    if bias != 0:
        np.add(out, bias, out=out)


def _cast(values: NDArray[Any], tensor: NDArray[Any]) -> None:
    """In place, to the nearest number that the tensor can hold."""
    if tensor.dtype.kind in "iu":
        limits = np.iinfo(tensor.dtype)
        np.rint(values, out=values)
        np.clip(values, limits.min, limits.max, out=values)
    np.copyto(tensor, values, casting="unsafe")
