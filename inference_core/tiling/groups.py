"""Which findings of different tiles are one and the same object."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inference_core.picture import Window
from inference_core.results import Floats

_TOUCHES = 0.01
"""Share of a tile's side: what ends so near to the border of a tile may go on behind it."""


class Link(NamedTuple):
    """Two findings that look like one; the surest links are made first."""

    sureness: float
    one: int
    other: int


def pair_tiles(windows: Sequence[Window]) -> Iterator[tuple[int, int, Floats]]:
    """Every two tiles that overlap, and x0, y0, x1, y1 of what both see."""
    edges = np.array([to_edges(window) for window in windows])
    low = np.maximum(edges[:, None, :2], edges[:, :2])
    high = np.minimum(edges[:, None, 2:], edges[:, 2:])
    for one, other in np.argwhere(np.triu((high > low).all(axis=2), k=1)).tolist():
        yield one, other, np.concatenate([low[one, other], high[one, other]])


def group(tile_of: NDArray[np.int64], links: Iterable[Link]) -> list[list[int]]:
    """All findings in groups that are one object each.

    No group has two findings of one tile: that the decoder told them apart is the better
    knowledge. So a crowd along a border does not melt into one.
    """
    groups = {index: [index] for index in range(len(tile_of))}
    tiles = {index: {tile} for index, tile in enumerate(tile_of.tolist())}
    home = list(groups)
    for link in sorted(links, key=lambda link: -link.sureness):
        one, other = home[link.one], home[link.other]
        if one == other or tiles[one] & tiles[other]:
            continue
        tiles[one] |= tiles.pop(other)
        for index in groups[other]:
            home[index] = one
        groups[one] += groups.pop(other)
    return list(groups.values())


def find_cut(xyxy: Floats, window: Window, windows: Sequence[Window]) -> NDArray[np.bool_]:
    """Which N×4 boxes of a tile end at a border behind which there is another tile."""
    edges = to_edges(window)
    outermost = np.array([to_edges(each) for each in windows])
    ends = np.concatenate([outermost[:, :2].min(axis=0), outermost[:, 2:].max(axis=0)])
    near = _TOUCHES * np.tile(np.array(window[2:], dtype=np.float64), 2)
    touches = (np.abs(xyxy - edges) <= near) & (edges != ends)
    return np.asarray(touches.any(axis=1))


def to_edges(window: Window) -> Floats:
    """x0, y0, x1, y1."""
    x, y, width, height = window
    return np.array([x, y, x + width, y + height], dtype=np.float64)
