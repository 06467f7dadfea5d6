"""Where the tiles of a large frame lie."""

from __future__ import annotations

import math

from inference_core.contract.pipeline import Tiles
from inference_core.errors import BadInput
from inference_core.image import Region, place_region
from inference_core.picture import Window


def plan_tiles(
    frame_size: tuple[int, int], tiles: Tiles, region: Region | None = None
) -> list[Window]:
    """Windows over all of a frame of width × height, or of a region of it, row by row.

    Neighbours overlap by the share that was asked for or by more, evenly; the last ones end at
    the border. What is smaller than a tile is one smaller tile. Raises ``BadInput`` where it
    takes more than ``max_tiles``.
    """
    left, top, width, height = place_region(frame_size, region or (0.0, 0.0, 1.0, 1.0))
    across = _place_along(width, tiles.size_px[0], tiles.overlap)
    down = _place_along(height, tiles.size_px[1], tiles.overlap)
    if len(across) * len(down) > tiles.max_tiles:
        raise BadInput(
            f"{width}×{height} pixels take {len(across) * len(down)} tiles of "
            f"{tiles.size_px[0]}×{tiles.size_px[1]}, over the {tiles.max_tiles} allowed: "
            "make the tiles larger, or raise max_tiles"
        )
    size = min(width, tiles.size_px[0]), min(height, tiles.size_px[1])
    return [(left + x, top + y, *size) for y in down for x in across]


def _place_along(length: int, side: int, overlap: float) -> list[int]:
    """Where tiles begin on one axis."""
    if length <= side:
        return [0]
    longest_step = max(math.floor(side * (1 - overlap)), 1)
    steps = math.ceil((length - side) / longest_step)
    return [(length - side) * step // steps for step in range(steps + 1)]
