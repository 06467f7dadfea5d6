"""What every source is, how it says that there is nothing, and how it keeps its books."""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Literal, Protocol

from inference_core.contract.serve import Camera, FrameLost
from inference_core.pipeline.frames import Frame

LossCause = Literal["no_input", "corrupt_image", "too_late"]


class Source(Protocol):
    """A camera, or what stands in for one. ``take`` from one thread."""

    camera: Camera
    is_live: bool
    """The world does not wait, so the latest frame wins; else nothing is lost, the source waits."""

    @property
    def due_s(self) -> float:
        """``time.monotonic()`` from which the next frame may be taken without waiting for it."""

    def take(self) -> Frame | FrameLost:
        """The next frame, or why there is none. Never raises for what the camera does.

        A live source that has none yet waits for it, at most ``PATIENCE_S``.
        """

    def close(self) -> None:
        """Lets go of the camera; what waits is forgotten. May be called twice."""


PATIENCE_S = 5.0
"""A camera that shows nothing for so long gives no input."""


@dataclass
class Ledger:
    """``captured = taken + dropped + waiting``, always, where frames wait inside the source.

    A time without input is no frame, so it is not in here.
    """

    captured: int = 0
    taken: int = 0
    dropped: Counter[LossCause] = field(default_factory=Counter)
    waiting: int = 0


class Backoff:
    """Ever longer waits, kept out of step across a fleet that lost the same server."""

    def __init__(self, first_s: float = 1.0, longest_s: float = 30.0) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._wait_s = first_s

    def reset(self) -> None:
        """It worked: the next wait is the first again."""
        self._wait_s = self._first_s

    def next_s(self) -> float:
        """Seconds to wait now, 20 % more or less."""
        wait_s, self._wait_s = self._wait_s, min(self._wait_s * 2, self._longest_s)
        return wait_s * random.uniform(0.8, 1.2)  # noqa: S311 not a secret


class BrokenSource:
    """Stands in for a camera whose address cannot be used: no input, and never a crash."""

    is_live = False

    def __init__(self, camera: Camera, reason: str) -> None:
        self.camera = camera
        self.due_s = time.monotonic()
        self._reason = reason
        self._backoff = Backoff(first_s=30.0)

    def take(self) -> Frame | FrameLost:
        """Always the reason, seldom."""
        self.due_s = time.monotonic() + self._backoff.next_s()
        return lose(self.camera, "no_input", self._reason)

    def close(self) -> None:
        """There is nothing to let go of."""


def lose(camera: Camera, cause: LossCause, detail: str) -> FrameLost:
    """Says that a camera gave no frame now. Secrets of an address do not belong in ``detail``."""
    return FrameLost(
        camera=camera.name,
        cause=cause,
        detail=detail[:500],
        captured_at=datetime.now(timezone.utc),
    )
