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

_BITS = {1: np.uint8, 2: np.uint16, 4: np.int32, 8: np.float64}
"""By the bytes of a number: what OpenCV copies it as. It has neither int64 nor always float16."""


class TensorWriter:
    """Owns one input tensor, and writes picture after picture into it.

    A pixel has but 256 values, so what each becomes is looked up: scaled, shifted, rounded and
    cast in one pass, whatever the tensor holds.
    """

    def __init__(self, manifest: ModelManifest) -> None:
        spec, preprocess = manifest.inputs[0], manifest.preprocess
        self._is_planar = preprocess.layout == "nchw"
        self._colour = preprocess.colour
        self._width, self._height = manifest.input_size
        channels = self._channels = 1 if preprocess.colour == "gray" else 3
        found = spec.fixed_shape[1 if self._is_planar else 3]
        if found != channels:
            raise BadInput(f"the input has {found} channels, the manifest says {channels}")
        self.tensor: NDArray[Any] = np.zeros(spec.fixed_shape, spec.dtype)
        self._bits = self.tensor[0].view(_BITS[self.tensor.itemsize])
        self._tables = _tabulate(np.arange(256), preprocess, channels, self.tensor.dtype)
        self._is_unchanged = (
            self.tensor.dtype == np.uint8 and (self._tables == np.arange(256)).all()
        )
        self._pad = _tabulate(preprocess.pad_value, preprocess, channels, self.tensor.dtype)
        self._scratch = np.empty(channels * self._width * self._height, np.uint8)
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

    def _pad_around(self, content: Window) -> None:
        """Frames of one size share their padding: it is written when the content moves."""
        if content == self._padded_around:
            return
        self._bits[...] = self._pad[..., None] if self._is_planar else self._pad[:, 0]
        self._padded_around = content

    def _write_planes(self, picture: Picture, content: Window) -> None:
        x, y, width, height = content
        inside = self._bits[:, y : y + height, x : x + width]
        sources = self._split(picture, width, height)
        if self._colour == "rgb":
            sources = sources[::-1]
        for source, table, plane in zip(sources, self._tables, inside, strict=True):
            self._look_up(source, table, plane)

    def _split(self, picture: Picture, width: int, height: int) -> Planes:
        planes = self._view(height, width, leading=True)
        if self._colour == "gray":
            cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY, dst=planes[0])
        else:
            cv2.split(picture, list(planes))
        return planes

    def _write_rows(self, picture: Picture, content: Window) -> None:
        """Channels lie side by side: one table for all, or one with a number for each."""
        x, y, width, height = content
        inside = self._bits[y : y + height, x : x + width]
        is_shared = (self._tables == self._tables[0]).all()
        table = self._tables[0] if is_shared else self._tables.T.reshape(256, 1, self._channels)
        self._look_up(self._arrange(picture, width, height), table, inside)

    def _look_up(self, source: Planes, table: NDArray[Any], out: NDArray[Any]) -> None:
        if self._is_unchanged:
            np.copyto(out, source)
        else:
            cv2.LUT(source, table, dst=out)

    def _arrange(self, picture: Picture, width: int, height: int) -> Planes:
        if self._colour == "bgr":
            return picture
        code = cv2.COLOR_BGR2RGB if self._colour == "rgb" else cv2.COLOR_BGR2GRAY
        arranged = self._view(height, width, leading=False)
        cv2.cvtColor(picture, code, dst=arranged)
        return arranged

    def _view(self, height: int, width: int, *, leading: bool) -> Planes:
        shape = (self._channels, height, width) if leading else (height, width, self._channels)
        return self._scratch[: self._channels * height * width].reshape(shape)


def _tabulate(
    pixels: NDArray[Any] | float, preprocess: Preprocess, channels: int, dtype: np.dtype[Any]
) -> NDArray[Any]:
    """Channels × pixels of ``(pixel * scale - mean) / std``, as the bits of ``dtype``.

    Whole numbers are the nearest that the tensor can hold.
    """
    mean = np.broadcast_to(np.asarray(preprocess.mean, np.float64), channels)[:, None]
    std = np.broadcast_to(np.asarray(preprocess.std, np.float64), channels)[:, None]
    numbers = (np.atleast_1d(pixels) * preprocess.scale - mean) / std
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        numbers = np.clip(np.rint(numbers), limits.min, limits.max)
    return np.ascontiguousarray(numbers.astype(dtype)).view(_BITS[dtype.itemsize])
