"""The place between a camera's thread and its taker: room for one frame, and exact books."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque

from inference_core.contract.serve import Camera, FrameLost
from inference_core.pipeline.frames import Frame
from inference_core.pipeline.sources.base import PATIENCE_S, Ledger, LossCause, lose

_MOMENT_S = 0.01


class Latest:
    """Holds the newest frame; one that it replaces is told as ``too_late``, in its place.

    All is told in the order in which it came: a camera that stopped stopped after its last frame.

    While nobody has asked for ``PATIENCE_S``, as when the line is paused, nothing is captured and
    nothing waits: what is to be told stays bounded, and no old part is judged for a new one.
    """

    def __init__(self, camera: Camera) -> None:
        self._camera = camera
        self._changed = threading.Condition()
        self._waiting: deque[Frame | FrameLost] = deque()  # one frame at most
        self._ready_s: float | None = None
        self._asked_s = time.monotonic()
        self._is_closed = False
        self._captured = self._taken = 0
        self._dropped: Counter[LossCause] = Counter()

    @property
    def due_s(self) -> float:
        """When the oldest thing that waits came; a moment from now where nothing does."""
        with self._changed:
            self._asked_s = time.monotonic()
            return self._asked_s + _MOMENT_S if self._ready_s is None else self._ready_s

    def put(self, item: Frame | FrameLost) -> bool:
        """Takes in a frame, or one that is corrupt. False where nobody has asked for long."""
        with self._changed:
            if time.monotonic() - self._asked_s > PATIENCE_S:
                self._drop_late()
                return False
            self._captured += 1
            if isinstance(item, FrameLost):
                self._dropped[item.cause] += 1
            else:
                self._drop_late()
            self._waiting.append(item)
            self._wake()
            return True

    def tell(self, trouble: FrameLost) -> None:
        """No frame, but news of the camera; of several in a row the newest is enough."""
        with self._changed:
            last = self._waiting[-1] if self._waiting else None
            if isinstance(last, FrameLost) and last.cause == "no_input":
                self._waiting.pop()
            self._waiting.append(trouble)
            self._wake()

    def take(self, longest_s: float) -> Frame | FrameLost | None:
        """The oldest thing that waits; None where nothing came."""
        with self._changed:
            self._asked_s = time.monotonic()
            self._changed.wait_for(self._has_answer, longest_s)
            self._asked_s = time.monotonic()
            taken = self._waiting.popleft() if self._waiting else None
            self._taken += isinstance(taken, Frame)
            if not self._waiting:
                self._ready_s = None
            return taken

    def close(self) -> None:
        """Whoever waits is answered now."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _has_answer(self) -> bool:
        return self._is_closed or self._ready_s is not None

    def read_ledger(self) -> Ledger:
        """The books of this moment."""
        with self._changed:
            waiting = sum(isinstance(item, Frame) for item in self._waiting)
            return Ledger(self._captured, self._taken, self._dropped.copy(), waiting)

    def _drop_late(self) -> None:
        for place, item in enumerate(self._waiting):
            if isinstance(item, Frame):
                told = lose(self._camera, "too_late", "the next frame came before it was wanted")
                self._waiting[place] = told.model_copy(update={"captured_at": item.captured_at})
                self._dropped["too_late"] += 1
                return

    def _wake(self) -> None:
        if self._ready_s is None:
            self._ready_s = time.monotonic()
        self._changed.notify_all()
