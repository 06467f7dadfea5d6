"""One tensor of a TFLite file, spoken to as the manifest describes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from inference_core.contract.build import TensorFacts
from inference_core.contract.manifest import TensorSpec
from inference_core.errors import LoadFailed
from inference_core.runtimes.base import Array

_INTEGERS = (np.dtype(np.int8), np.dtype(np.uint8), np.dtype(np.int16))


@dataclass(frozen=True)
class Port:
    """Where a tensor lies in the interpreter, and how it differs from the manifest's.

    ``tensor_of_file = tensor_of_manifest.transpose(axes)``; an integer ``q`` of the file is
    ``(q - zero_point) * scale``, as the specification of TFLite's 8-bit quantisation says.
    """

    name: str
    index: int
    dtype: np.dtype[Any]
    file_shape: tuple[int | None, ...]
    axes: tuple[int, ...]
    is_noted: bool
    scale: float
    """0 where the tensor is not quantised as a whole."""
    zero_point: int
    is_translated: bool = False
    """Whether the manifest speaks float32 where the file computes in integers."""

    @classmethod
    def of(cls, name: str, detail: Mapping[str, Any], axes: tuple[int, ...] | None) -> Port:
        """From the interpreter's details; without ``axes`` the tensor is taken as it lies."""
        shape = tuple(None if side < 0 else int(side) for side in _shape(detail))
        if axes is not None and len(axes) != len(shape):
            raise LoadFailed(f"its notes give {name!r} {len(axes)} axes; the graph {len(shape)}")
        scale, zero_point = detail["quantization"]
        return cls(
            name=name,
            index=int(detail["index"]),
            dtype=np.dtype(detail["dtype"]),
            file_shape=shape,
            axes=tuple(range(len(shape))) if axes is None else axes,
            is_noted=axes is not None,
            scale=float(scale),
            zero_point=int(zero_point),
        )

    def speak(self, dtype: str) -> Port:
        """The port as a manifest of ``dtype`` uses it."""
        wants_float = dtype == "float32" and self.dtype in _INTEGERS and self.scale > 0
        return replace(self, is_translated=wants_float)

    def facts(self) -> TensorFacts:
        """The tensor as the caller sees it."""
        dtype = "float32" if self.is_translated else str(self.dtype)
        shape = tuple(self.file_shape[axis] for axis in self._back())
        return TensorFacts(name=self.name, shape=shape, dtype=dtype)

    def fix_shape(self, interpreter: Any, spec: TensorSpec) -> None:
        """Gives an input with open sides the manifest's shape."""
        if None in self.file_shape:
            shape = [spec.fixed_shape[axis] for axis in self.axes]
            interpreter.resize_tensor_input(self.index, shape, strict=True)

    def write(self, interpreter: Any, array: Array) -> None:
        """Puts an input in place. Raises ``ValueError`` for another shape or dtype."""
        # A view of the interpreter's memory: it must be gone before the interpreter goes on.
        view = interpreter.tensor(self.index)()
        turned = array.transpose(self.axes) if array.ndim == len(self.axes) else array
        if turned.shape != view.shape:
            raise ValueError(f"input {self.name!r} came with the shape {array.shape}")
        if not self.is_translated:
            np.copyto(view, turned, casting="no")
            return
        values = np.multiply(turned, np.float32(1 / self.scale), dtype=np.float32, order="C")
        values += self.zero_point
        np.rint(values, out=values)
        bounds = np.iinfo(self.dtype)
        np.clip(values, bounds.min, bounds.max, out=values)
        np.copyto(view, values, casting="unsafe")

    def read(self, interpreter: Any) -> Array:
        """An output that belongs to the caller."""
        turned = interpreter.tensor(self.index)().transpose(self._back())
        if not self.is_translated:
            return np.array(turned, order="C")
        values = np.empty(turned.shape, np.float32)
        np.subtract(turned, np.float32(self.zero_point), out=values)
        values *= np.float32(self.scale)
        return values

    def _back(self) -> list[int]:
        return [self.axes.index(axis) for axis in range(len(self.axes))]


def _shape(detail: Mapping[str, Any]) -> list[int]:
    """With -1 for open sides; a scalar's signature is empty, as is that of a file without one."""
    signature = detail["shape_signature"].tolist()
    return list(signature or detail["shape"].tolist())
