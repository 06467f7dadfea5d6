"""Output arrays that are used again, so that a warm session allocates nothing."""

from __future__ import annotations

import sys

import numpy as np

from inference_core.runtimes.base import Array

_MOST_IDLE = 16


class OutputPool:
    """Copies into arrays that nobody holds any more.

    What it returns belongs to the caller for as long as the caller holds it, or any view of it:
    NumPy's views keep the array alive, and an array that only the pool refers to is idle. That is
    CPython's own count of references, which NumPy trusts for the same purpose. Not thread-safe.
    """

    def __init__(self) -> None:
        self._arrays: list[Array] = []

    def copy(self, array: Array) -> Array:
        """The same values in an array of the caller's own."""
        own = self._find_idle(array)
        if own is None:
            own = np.empty(array.shape, array.dtype)
            self._arrays = [*self._arrays[1 - _MOST_IDLE :], own]
        np.copyto(own, array)
        return own

    def _find_idle(self, like: Array) -> Array | None:
        for place in range(len(self._arrays)):
            if _count_references(self._arrays, place) == _ONLY_THE_POOL:
                idle = self._arrays[place]
                if idle.shape == like.shape and idle.dtype == like.dtype:
                    return idle
        return None


def _count_references(arrays: list[Array], place: int) -> int:
    return sys.getrefcount(arrays[place])


_ONLY_THE_POOL = _count_references([np.empty(0)], 0)
"""Not written as a number: it depends on how the interpreter passes arguments."""
