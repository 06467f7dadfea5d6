"""Following objects through the frames of each camera."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from inference_core.contract.pipeline import Track
from inference_core.errors import RuntimeUnavailable
from inference_core.pipeline.frames import Frame
from inference_core.pipeline.stopwatch import Stopwatch
from inference_core.results import Boxes, Found, StageFields

if TYPE_CHECKING:
    from inference_core.tracking import Follower

Turn = Callable[[Stopwatch], AbstractContextManager[object]]
"""Holds a frame back until all earlier ones have been followed."""


def no_turn(watch: Stopwatch) -> AbstractContextManager[None]:
    """Where one frame is judged after the other, each has its turn already."""
    del watch
    return nullcontext()


class Following:
    """The objects of one stage; a camera's are its own. Not thread-safe.

    Raises ``RuntimeUnavailable`` where SciPy is not installed: only tracking needs it.
    """

    def __init__(self, track: Track) -> None:
        try:
            from inference_core.tracking import Follower
        except ImportError as error:
            raise RuntimeUnavailable(
                f"following objects is not possible here ({error}); "
                "install it with: pip install 'linewarden[track]'"
            ) from error
        self._make_follower = Follower
        self._track = track
        self._followers: dict[str, Follower] = {}

    def follow(self, found: Found, frame: Frame) -> StageFields:
        """``boxes`` with their numbers, and ``counts``."""
        if not isinstance(found, Boxes):
            raise TypeError(f"only boxes can be followed, not {type(found).__name__}")
        follower = self._followers.get(frame.camera)
        if follower is None:
            follower = self._followers[frame.camera] = self._make_follower(self._track)
        height, width = frame.picture.shape[:2]
        followed = follower.follow(found, frame.captured_s, (width, height))
        numbers = (number if number >= 0 else None for number in followed.track_id.tolist())
        boxes = zip(found.to_fields()["boxes"], numbers, strict=True)
        return {
            "boxes": tuple(box.model_copy(update={"track_id": number}) for box, number in boxes),
            "counts": followed.counts,
        }
