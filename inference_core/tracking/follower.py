"""The door to tracking: boxes in, numbers and counts out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference_core.contract.pipeline import Track
from inference_core.contract.results import Counts
from inference_core.results import Boxes
from inference_core.tracking.borders import Border, make_border
from inference_core.tracking.counter import Counter
from inference_core.tracking.tracker import Tracker


@dataclass(frozen=True)
class Followed:
    """What one frame added."""

    track_id: NDArray[np.int64]
    """One for each box: the object's number, or -1 where it has none (yet)."""
    counts: Counts
    """Since the follower began."""


class Follower:
    """Follows the boxes of one stage on one camera. Not thread-safe.

    A box of at least ``begin_score`` may begin an object; one below only carries it on. An object
    gets its number at the second sighting. Counts are those of ``counter``: each crossing once.
    """

    def __init__(self, track: Track) -> None:
        self._track = track
        self._labels: tuple[str, ...] = ()
        self._frame_size = (0, 0)

    def follow(self, boxes: Boxes, captured_s: float, frame_size: tuple[int, int]) -> Followed:
        """Takes the next frame's boxes, in pixels of a frame of that width and height.

        ``captured_s`` is the time of capture in seconds on any clock; where it runs backwards, or
        the frame changes its size, all objects are new. Call it for frames without boxes too.
        """
        self._prepare(boxes.labels, frame_size)
        followed = _select(boxes, self._is_followed[boxes.class_id])
        rows = self._tracker.follow(boxes if followed is None else followed[0], captured_s)
        objects = self._tracker.objects
        self._counter.count(objects, rows[rows >= 0], self._border)
        track_id = _read_numbers(objects["number"], rows)
        if followed is not None:
            every = np.full(len(boxes), -1, dtype=np.int64)
            every[followed[1]] = track_id
            track_id = every
        return Followed(track_id, self._counter.tell(objects, self._border))

    def _prepare(self, labels: tuple[str, ...], frame_size: tuple[int, int]) -> None:
        if labels != self._labels:
            self._labels = labels
            wanted = self._track.labels
            self._is_followed = np.array([wanted is None or name in wanted for name in labels])
            self._tracker = Tracker(self._track.max_missing_s, self._track.begin_score, len(labels))
            self._counter = Counter(labels)
        if frame_size != self._frame_size:
            self._frame_size = frame_size
            self._border: Border = make_border(self._track, frame_size)
            self._tracker.forget()


def _select(boxes: Boxes, wanted: NDArray[np.bool_]) -> tuple[Boxes, NDArray[np.int64]] | None:
    """The wanted boxes and their places; None where that is all of them."""
    if wanted.all():
        return None
    places = np.flatnonzero(wanted)
    chosen = Boxes(boxes.labels, boxes.class_id[places], boxes.score[places], boxes.xyxy[places])
    return chosen, places


def _read_numbers(numbers: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    known = np.full(len(rows), -1, dtype=np.int64)
    shown = rows >= 0
    known[shown] = np.where(numbers[rows[shown]] > 0, numbers[rows[shown]], -1)
    return known
