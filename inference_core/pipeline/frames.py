"""A frame on its way through the pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from inference_core.picture import Picture


@dataclass(frozen=True)
class Frame:
    """A picture of one part, and where it came from."""

    camera: str
    sequence: int
    source: str
    captured_at: datetime
    read_from_s: float
    """``time.perf_counter()`` when reading began: the latency counts from here."""
    picture: Picture
    mm_per_px: float | None = None
