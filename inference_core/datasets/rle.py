"""COCO's run-length masks, decoded without native code: the counts come from strangers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from inference_core.datasets.problem import DatasetError

Mask = NDArray[np.bool_]
"""H×W; True is the object."""


def decode_counts(text: str, where: str) -> list[int]:
    """Counts from COCO's compressed string: 5 bits a character, from the third a difference.

    As ``rleFrString`` of pycocotools' maskApi.c reads it, which trusts its input.
    """
    counts: list[int] = []
    position = 0
    while position < len(text):
        value, shift, more = 0, 0, True
        while more:
            if position >= len(text) or shift > 30:
                raise DatasetError(f"{where}: the compressed mask ends within a number")
            bits = ord(text[position]) - 48
            if not 0 <= bits < 64:
                raise DatasetError(f"{where}: {text[position]!r} has no place in a compressed mask")
            value |= (bits & 0x1F) << shift
            more = bool(bits & 0x20)
            position, shift = position + 1, shift + 5
            if not more and bits & 0x10:
                value -= 1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
    return counts


def fill_columns(counts: Sequence[int], width: int, height: int, where: str) -> Mask:
    """The mask whose pixels, column by column, alternate by ``counts``, background first."""
    if min(counts, default=0) < 0 or sum(counts) != width * height:
        raise DatasetError(f"{where}: the mask's counts do not add up to {width}×{height} pixels")
    values = np.arange(len(counts)) % 2 == 1
    return np.repeat(values, np.asarray(counts, np.int64)).reshape(width, height).T
