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
    """Holds the newest frame; one that it replaces is told as ``too_late``.

    While nobody has asked for ``PATIENCE_S``, as when the line is paused, nothing is captured and
    nothing waits: what is to be told stays bounded, and no old part is judged for a new one.
    """

    def __init__(self, camera: Camera) -> None:
        self._camera = camera
        self._changed = threading.Condition()
        self._frame: Frame | None = None
        self._losses: deque[FrameLost] = deque()
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
                self._lose(item)
            else:
                self._drop_late()
                self._frame = item
            self._wake()
            return True

    def tell(self, trouble: FrameLost) -> None:
        """No frame, but news of the camera; of several in a row the newest is enough."""
        with self._changed:
            if self._losses and self._losses[-1].cause == "no_input":
                self._losses.pop()
            self._losses.append(trouble)
            self._wake()

    def take(self, longest_s: float) -> Frame | FrameLost | None:
        """Losses first, then the frame; None where nothing came."""
        with self._changed:
            self._asked_s = time.monotonic()
            self._changed.wait_for(self._has_answer, longest_s)
            self._asked_s = time.monotonic()
            taken = self._pick()
            if not self._losses and self._frame is None:
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
            waiting = int(self._frame is not None)
            return Ledger(self._captured, self._taken, self._dropped.copy(), waiting)

    def _pick(self) -> Frame | FrameLost | None:
        if self._losses:
            return self._losses.popleft()
        frame, self._frame = self._frame, None
        self._taken += frame is not None
        return frame

    def _drop_late(self) -> None:
        if self._frame is not None:
            told = lose(self._camera, "too_late", "the next frame came before this one was wanted")
            self._lose(told.model_copy(update={"captured_at": self._frame.captured_at}))
            self._frame = None

    def _lose(self, lost: FrameLost) -> None:
        self._dropped[lost.cause] += 1
        self._losses.append(lost)

    def _wake(self) -> None:
        if self._ready_s is None:
            self._ready_s = time.monotonic()
        self._changed.notify_all()
