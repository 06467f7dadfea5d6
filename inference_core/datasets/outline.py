"""Outlines of masks along the edges of their pixels, and masks of outlines: exact both ways."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from inference_core.datasets.geometry import measure_area
from inference_core.datasets.labelled import Ring
from inference_core.datasets.rle import Mask

_Vertex = tuple[int, int]
_STEPS = {"top": (1, 0), "right": (0, 1), "bottom": (-1, 0), "left": (0, -1)}


def trace_outlines(mask: Mask) -> tuple[tuple[Ring, ...], int]:
    """Polygons around the 4-connected parts of a mask, and the number of holes in them.

    Pixel ``i`` spans ``i`` to ``i + 1``. A hole is not among the polygons: their union is filled.
    """
    rings = [_straighten(loop) for loop in _chain(_list_edges(mask))]
    outer = tuple(ring for ring in rings if measure_area(ring) > 0)
    return outer, len(rings) - len(outer)


def fill_outline(ring: Ring, width: int, height: int) -> Mask:
    """H×W of the pixels whose centres lie inside the polygon, by the even-odd rule.

    ``cv2.fillPoly`` draws the border too, which makes every object a pixel wider.
    """
    mask = np.zeros((height, width), dtype=bool)
    start = np.array(ring, dtype=np.float64)
    end = np.roll(start, -1, axis=0)
    columns = np.arange(width) + 0.5
    top, bottom = int(max(start[:, 1].min(), 0)), int(np.ceil(start[:, 1].max()))
    for row in range(top, min(bottom, height)):
        y = row + 0.5
        crossing = (start[:, 1] <= y) != (end[:, 1] <= y)
        (x0, y0), (x1, y1) = start[crossing].T, end[crossing].T
        borders = np.sort(x0 + (y - y0) * (x1 - x0) / (y1 - y0))
        mask[row] = np.searchsorted(borders, columns, side="right") % 2 == 1
    return mask


def _list_edges(mask: Mask) -> dict[_Vertex, list[_Vertex]]:
    """Edges between inside and outside by their start, the inside on their right hand."""
    padded = np.pad(mask, 1)
    inside = padded[1:-1, 1:-1]
    neighbours = {
        "top": (padded[:-2, 1:-1], 0, 0),
        "right": (padded[1:-1, 2:], 1, 0),
        "bottom": (padded[2:, 1:-1], 1, 1),
        "left": (padded[1:-1, :-2], 0, 1),
    }
    edges: dict[_Vertex, list[_Vertex]] = defaultdict(list)
    for side, (neighbour, right, down) in neighbours.items():
        rows, columns = np.nonzero(inside & ~neighbour)
        dx, dy = _STEPS[side]
        for x, y in zip((columns + right).tolist(), (rows + down).tolist(), strict=True):
            edges[x, y].append((x + dx, y + dy))
    return edges


def _chain(edges: dict[_Vertex, list[_Vertex]]) -> list[list[_Vertex]]:
    """Closed loops that use every edge once.

    The first vertex left begins a topmost edge, where no second loop passes: a way back to it is
    the end of its loop.
    """
    loops = []
    while edges:
        start = next(iter(edges))
        loop = [start]
        while (here := _take(edges, loop)) != start:
            loop.append(here)
        loops.append(loop)
    return loops


def _take(edges: dict[_Vertex, list[_Vertex]], loop: list[_Vertex]) -> _Vertex:
    """The next vertex; where pixels touch by a corner, the turn that stays at the same one."""
    here = loop[-1]
    ends = edges[here]
    chosen = 0
    if len(ends) > 1 and len(loop) > 1:
        came = here[0] - loop[-2][0], here[1] - loop[-2][1]
        right_turn = (here[0] - came[1], here[1] + came[0])
        chosen = ends.index(right_turn)
    end = ends.pop(chosen)
    if not ends:
        del edges[here]
    return end


def _straighten(loop: list[_Vertex]) -> Ring:
    """Without the vertices where nothing turns."""
    kept = []
    for before, here, after in zip([loop[-1], *loop[:-1]], loop, [*loop[1:], loop[0]], strict=True):
        if (here[0] - before[0]) * (after[1] - here[1]) != (here[1] - before[1]) * (
            after[0] - here[0]
        ):
            kept.append((float(here[0]), float(here[1])))
    return tuple(kept)
