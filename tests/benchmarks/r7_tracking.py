"""R7: tracker and counter against the ``trackers`` package's ByteTrack, 100 objects, interleaved.

``python tests/benchmarks/r7_tracking.py`` prints one JSON. The peer is optional: without it (and
``supervision``) only our own time is told.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from inference_core.contract.pipeline import Track
from inference_core.results import Boxes
from inference_core.tracking import Follower

FRAME = (1920, 1080)
FPS = 25
GOAL = 0.5

Follow = Callable[[Boxes, float], object]


@dataclass(frozen=True)
class Measured:
    """Seconds for one pass over the same frames, per round."""

    ours_s: list[float]
    peer_s: list[float] | None
    frames: int

    def to_report(self) -> dict[str, Any]:
        """The figures of R7; ``ratio`` is the median of paired ratios, None without the peer."""
        pairs = zip(self.ours_s, self.peer_s or (), strict=self.peer_s is not None)
        ratios = [ours / peer for ours, peer in pairs]
        return {
            "figure": "R7",
            "goal": GOAL,
            "ratios": ratios,
            "ratio": statistics.median(ratios) if ratios else None,
            "ours_ms_per_frame": self._per_frame(self.ours_s),
            "peer_ms_per_frame": None if self.peer_s is None else self._per_frame(self.peer_s),
            "rounds": len(self.ours_s),
        }

    def _per_frame(self, times_s: list[float]) -> float:
        return round(statistics.median(times_s) / self.frames * 1000, 4)


def make_frames(objects: int = 100, frames: int = 200, seed: int = 0) -> list[Boxes]:
    """Trembling boxes of objects that cross the frame; one in fifty is missed, one in ten weak."""
    rng = np.random.default_rng(seed)
    place = rng.uniform((40, 40), (FRAME[0] - 40, FRAME[1] - 40), (objects, 2))
    velocity, size = rng.uniform(-120, 120, (objects, 2)), rng.uniform(36, 64, (objects, 2))
    return [
        _look(rng, np.mod(place + velocity * index / FPS, FRAME), size) for index in range(frames)
    ]


def make_ours() -> Follow:
    """A new follower that counts over a line."""
    follower = Follower(Track(line=((0.0, 0.5), (1.0, 0.5))))
    return lambda boxes, time_s: follower.follow(boxes, time_s, FRAME)


def make_peer() -> Follow | None:
    """A new ByteTrack of the peer, without any counter; None where it is not installed."""
    try:
        import supervision
        from trackers import ByteTrackTracker
    except ImportError:
        return None
    tracker = ByteTrackTracker(frame_rate=FPS)

    def follow(boxes: Boxes, time_s: float) -> object:
        del time_s
        detections = supervision.Detections(
            xyxy=boxes.xyxy, confidence=boxes.score, class_id=boxes.class_id
        )
        return tracker.update(detections)

    return follow


def measure(rounds: int = 5, objects: int = 100) -> Measured:
    """Both over the same frames, in turns, each round with new trackers."""
    frames = make_frames(objects)
    ours: list[float] = []
    peer: list[float] = []
    for _ in range(rounds):
        ours.append(_time_pass(make_ours(), frames))
        follow = make_peer()
        if follow is not None:
            peer.append(_time_pass(follow, frames))
    return Measured(ours, peer or None, len(frames))


def _time_pass(follow: Follow, frames: list[Boxes]) -> float:
    begun = time.perf_counter()
    for index, boxes in enumerate(frames):
        follow(boxes, index / FPS)
    return time.perf_counter() - begun


def _look(rng: np.random.Generator, place: np.ndarray, size: np.ndarray) -> Boxes:
    seen = np.flatnonzero(rng.random(len(place)) >= 0.02)
    centre = place[seen] + rng.normal(0, 0.02, (len(seen), 2)) * size[seen]
    score = np.where(rng.random(len(seen)) < 0.1, 0.4, 0.9)
    half = size[seen] / 2
    xyxy = np.concatenate([centre - half, centre + half], axis=1)
    return Boxes(("part",), np.zeros(len(seen), np.int64), score, xyxy)


if __name__ == "__main__":
    print(json.dumps(measure().to_report(), indent=2))
