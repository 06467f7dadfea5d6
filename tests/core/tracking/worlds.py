"""A made world: objects on known ways, a detector that misses and trembles, and the true counts."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from inference_core.contract.pipeline import Track
from inference_core.results import Boxes
from inference_core.tracking import Follower

LABELS = ("bolt", "nut")
FRAME = (1920, 1080)
LINE = ((0.15, 0.5), (0.85, 0.5))
"""From left to right across the middle: who goes up in the picture has entered."""


@dataclass
class World:
    """Objects that move straight, each between its first and its last moment."""

    start: np.ndarray
    """N×2 pixels, at ``begins_s``."""
    velocity: np.ndarray
    size: np.ndarray
    begins_s: np.ndarray
    ends_s: np.ndarray
    class_id: np.ndarray

    def __len__(self) -> int:
        return len(self.start)

    def places(self, time_s: float | np.ndarray) -> np.ndarray:
        return self.start + self.velocity * np.atleast_1d(time_s - self.begins_s)[:, None]

    def is_there(self, time_s: float) -> np.ndarray:
        return (self.begins_s <= time_s) & (time_s <= self.ends_s)

    def crosses_at_s(self) -> np.ndarray:
        """When each object's centre crosses LINE between its ends; NaN where it never does."""
        y, (left, right) = LINE[0][1] * FRAME[1], (LINE[0][0] * FRAME[0], LINE[1][0] * FRAME[0])
        after_s = (y - self.start[:, 1]) / self.velocity[:, 1]
        x = self.start[:, 0] + self.velocity[:, 0] * after_s
        time_s = self.begins_s + after_s
        crosses = (time_s > self.begins_s) & (time_s < self.ends_s) & (left < x) & (x < right)
        return np.where(crosses, time_s, np.nan)

    def give_room(self, lead_s: float) -> World:
        """The same, but who crosses is there from ``lead_s`` before until ``lead_s`` after.

        At least: as a crossing counts what has left a fifth of its side behind.
        """
        at_s = self.crosses_at_s()
        lead_s = np.maximum(lead_s, 0.2 * self.size.max(axis=1) / np.abs(self.velocity[:, 1]))
        begins_s = np.fmin(self.begins_s, at_s - lead_s)
        ends_s = np.fmax(self.ends_s, at_s + lead_s)
        return replace(self, start=self.places(begins_s), begins_s=begins_s, ends_s=ends_s)

    def count(self) -> tuple[dict[str, int], dict[str, int]]:
        """Entered and left, by label."""
        crosses = ~np.isnan(self.crosses_at_s())
        upward = self.velocity[:, 1] < 0
        return _by_label(self.class_id[crosses & upward]), _by_label(
            self.class_id[crosses & ~upward]
        )


def _by_label(class_id: np.ndarray) -> dict[str, int]:
    return {LABELS[index]: int((class_id == index).sum()) for index in np.unique(class_id)}


def make_world(rng: np.random.Generator, count: int = 100, speed: float = 1.0) -> World:
    """Objects on two crowded belts and some that cross them anywhere.

    Each starts in a cell of its own, so that no two hide each other from the detector for good;
    all of a column move alike.
    """
    columns = max(count // 5, 1)
    column = np.arange(count) % columns
    upward = rng.random(columns) < 0.5
    pace = rng.uniform(90, 240, columns) * speed
    x = (column + 0.5) * FRAME[0] / columns
    depth = (np.arange(count) // columns + 1) * 90 + rng.uniform(-15, 15, count)
    middle = LINE[0][1] * FRAME[1]
    y = np.where(upward[column], middle + depth, middle - depth)
    velocity = np.stack([np.zeros(count), np.where(upward, -pace, pace)[column]], axis=1)
    begins_s = rng.uniform(0, 0.3, count)
    return World(
        start=np.stack([x, y], axis=1),
        velocity=velocity,
        size=rng.uniform(36, 52, (count, 2)),
        begins_s=begins_s,
        ends_s=begins_s + rng.uniform(1.5, 6.0, count) / speed,
        class_id=rng.integers(0, len(LABELS), count),
    )


def scatter_world(rng: np.random.Generator, count: int = 100) -> World:
    """Objects that come and go anywhere, in all directions, and pass over each other."""
    angle = rng.uniform(0, 2 * np.pi, count)
    pace = rng.uniform(60, 260, count)
    begins_s = rng.uniform(0, 4, count)
    return World(
        start=rng.uniform((60, 60), (FRAME[0] - 60, FRAME[1] - 60), (count, 2)),
        velocity=np.stack([np.cos(angle), np.sin(angle)], axis=1) * pace[:, None],
        size=rng.uniform(36, 64, (count, 2)),
        begins_s=begins_s,
        ends_s=begins_s + rng.uniform(1.0, 4.0, count),
        class_id=rng.integers(0, len(LABELS), count),
    )


@dataclass
class Detector:
    """What a detector makes of a world."""

    rng: np.random.Generator
    drop_share: float = 0.0
    """Of the boxes of every frame."""
    missing_at_line: int = 0
    """Frames around its crossing in which an object is not seen."""
    tremble: float = 0.0
    """Standard deviation of the centre, in sides."""
    unsure_share: float = 0.0
    """Of the boxes have a low score."""

    def look(self, world: World, time_s: float, fps: float) -> tuple[Boxes, np.ndarray]:
        """Boxes in random order, and the object that each shows."""
        there = world.is_there(time_s) & (self.rng.random(len(world)) >= self.drop_share)
        hidden_s = self.missing_at_line / fps / 2
        there &= ~(np.abs(time_s - world.crosses_at_s()) < hidden_s)
        which = self.rng.permutation(np.flatnonzero(there))
        size = world.size[which]
        centre = world.places(time_s)[which] + self.rng.normal(0, self.tremble, size.shape) * size
        score = np.where(self.rng.random(len(which)) < self.unsure_share, 0.35, 0.9)
        xyxy = np.concatenate([centre - size / 2, centre + size / 2], axis=1)
        return Boxes(LABELS, world.class_id[which], score, xyxy), which


def watch(
    world: World, detector: Detector, fps: float = 25, follower: Follower | None = None
) -> tuple[dict[str, int], dict[str, int]]:
    """Follows a world to its end; entered and left."""
    follower = follower or Follower(Track(line=LINE, max_missing_s=1.0))
    first, last = int(world.begins_s.min() * fps) - 1, int(world.ends_s.max() * fps) + 1
    for index in range(first, last + 1):
        boxes, _ = detector.look(world, index / fps, fps)
        followed = follower.follow(boxes, index / fps, FRAME)
    return followed.counts.entered, followed.counts.left
