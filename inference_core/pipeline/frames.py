"""A frame on its way through the pipeline."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import datetime

from inference_core.picture import Picture


@dataclass(frozen=True)
class Frame:
    """A picture of one part, and where it came from."""

    camera: str
    sequence: int
    source: str
    """File name, or address without its secrets."""
    captured_at: datetime
    read_from_s: float
    """``time.perf_counter()`` when reading began: the latency counts from here."""
    picture: Picture
    mm_per_px: float | None = None
    captured_s: float = field(default_factory=time.monotonic)
    """``time.monotonic()`` at capture; of a video file the seconds since its first frame.

    Only differences between frames of one camera mean something. Where it runs backwards, a
    recording began anew.
    """
