"""Large frames in overlapping tiles: where they lie, and what they found together."""

from inference_core.tiling.merge import merge_found
from inference_core.tiling.plan import plan_tiles

__all__ = ["merge_found", "plan_tiles"]
