"""What a camera has shown of late: against near duplicates, for flicker and for novelty."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from inference_core.contract.results import FrameResult
from inference_core.signals.quality import count_differences

DUPLICATE_BITS = 4
"""Noise and JPEG move this many of a likeness's 64 bits."""

SAME_SCENE_BITS = 10
FAMILIAR_BITS, NEW_BITS = 8, 24
"""Up to the one a picture is nothing new; from the other on it is as new as can be."""

_REMEMBERED = 32

Answer = tuple[str, frozenset[str]]


class Look(NamedTuple):
    """A picture as far as it is remembered."""

    likeness: int
    answer: Answer


class Memory:
    """The last pictures of one camera that were taken, and the frame before this one."""

    def __init__(self) -> None:
        self._taken: deque[Look] = deque(maxlen=_REMEMBERED)
        self._before: Look | None = None

    @property
    def is_empty(self) -> bool:
        """Whether no frame has been seen yet."""
        return self._before is None

    def see(self, look: Look) -> None:
        """This frame is over."""
        self._before = look

    def take(self, look: Look) -> None:
        """This frame was taken."""
        self._taken.append(look)

    def is_duplicate(self, look: Look) -> bool:
        """A picture like this one, with the same answer, was taken of late.

        The answer counts, because in a fixture all parts look alike, and a scratch is small.
        """
        return any(
            look.answer == taken.answer
            and count_differences(look.likeness, taken.likeness) <= DUPLICATE_BITS
            for taken in self._taken
        )

    def flickers(self, look: Look) -> bool:
        """The same scene as a frame ago, and another verdict."""
        return (
            self._before is not None
            and self._before.answer[0] != look.answer[0]
            and count_differences(self._before.likeness, look.likeness) <= SAME_SCENE_BITS
        )

    def weigh_novelty(self, look: Look) -> float:
        """0 to 1: how far the picture is from the nearest that was taken."""
        nearest = min(
            (count_differences(look.likeness, taken.likeness) for taken in self._taken),
            default=NEW_BITS,
        )
        return min(max((nearest - FAMILIAR_BITS) / (NEW_BITS - FAMILIAR_BITS), 0.0), 1.0)


def find_answer(result: FrameResult) -> Answer:
    """The verdict, and what was found. Texts are left out: serial numbers always differ."""
    labels = set[str]()
    for stage in result.stages:
        labels.update(box.label for box in stage.boxes)
        labels.update(region.label for region in stage.regions)
        labels.update(found.label for found in stage.classes[:1])
    return str(result.verdict), frozenset(labels)
