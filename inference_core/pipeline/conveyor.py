"""Frames on their way: bounded, in order, and each one accounted for."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass

from inference_core.contract.results import FrameResult
from inference_core.contract.serve import FrameLost
from inference_core.pipeline.frames import Frame

_READ_AHEAD = 1
_ROOM_FOR_LOSSES = 16

TOO_LATE = "too_late"
CLOSED = "closed"


@dataclass(frozen=True)
class Judged:
    """A frame with its verdict."""

    frame: Frame
    result: FrameResult


Passed = Judged | FrameLost
"""What comes out at the end, for each thing that was taken in and not overtaken."""


@dataclass(frozen=True)
class Account:
    """What became of the frames: ``captured = done + dropped + in flight``, at every moment."""

    captured: int
    done: int
    dropped: dict[str, int]
    """By cause: that of a ``FrameLost``, or ``closed``."""
    in_flight: int


class Conveyor:
    """Hands frames from the camera to the slots, and results in the same order to the reader.

    Any number of threads may use it. At most ``slots`` frames are between ``take`` and
    ``collect``. Where the source is ``live``, a frame that waits is overtaken by the next one;
    else the source waits.
    """

    def __init__(self, slots: int, *, live: bool = False) -> None:
        self._slots = slots
        self._live = live
        self._waiting: deque[Frame | FrameLost] = deque()
        self._arrived: dict[int, Passed] = {}
        self._taken = self._collected = 0
        self._captured = self._done = self._in_flight = 0
        self._dropped: Counter[str] = Counter()
        self._ended = self._closed = False
        self._error: BaseException | None = None
        self._changed = threading.Condition()

    @property
    def account(self) -> Account:
        """All figures of one moment."""
        with self._changed:
            return Account(self._captured, self._done, dict(self._dropped), self._in_flight)

    def offer(self, item: Frame | FrameLost) -> bool:
        """Takes in what a source gives, when there is room. False: nobody wants any more."""
        with self._changed:
            self._wait_until(lambda: self._closed or self._has_room())
            self._captured += 1
            if isinstance(item, FrameLost):
                self._dropped[item.cause] += 1
            elif self._closed:
                self._dropped[CLOSED] += 1
            else:
                self._overtake()
                self._in_flight += 1
            if not self._closed:
                self._waiting.append(item)
                self._changed.notify_all()
            return not self._closed

    def end(self, error: BaseException | None = None) -> None:
        """The source gives no more; ``error`` is raised when all its frames are collected."""
        with self._changed:
            self._ended = True
            self._error = self._error or error
            self._changed.notify_all()

    def take(self) -> tuple[int, Frame | FrameLost] | None:
        """The next one for a slot, numbered from 0 without a gap; None where none will come."""
        with self._changed:
            self._wait_until(lambda: self._closed or self._may_take() or self._is_drained())
            if self._closed or not self._waiting:
                return None
            number, self._taken = self._taken, self._taken + 1
            item = self._waiting.popleft()
            self._changed.notify_all()
            return number, item

    def deliver(self, number: int, passed: Passed) -> None:
        """What became of a taken one."""
        with self._changed:
            if not self._closed:
                self._arrived[number] = passed
                self._changed.notify_all()

    def collect(self) -> Passed | None:
        """The next result in order; None at the end. Raises what ended the run before its time."""
        with self._changed:
            self._wait_until(
                lambda: self._closed or self._collected in self._arrived or self._is_over()
            )
            passed = self._arrived.pop(self._collected, None)
            if passed is None:
                if self._error is not None:
                    raise self._error
                return None
            self._collected += 1
            if isinstance(passed, Judged):
                self._in_flight -= 1
                self._done += 1
            self._changed.notify_all()
            return passed

    def close(self, error: BaseException | None = None) -> None:
        """Ends everything now. What has not been collected is dropped, and counted so."""
        with self._changed:
            self._closed = True
            self._error = self._error or error
            if self._in_flight:
                self._dropped[CLOSED] += self._in_flight
                self._in_flight = 0
            self._waiting.clear()
            self._arrived.clear()
            self._changed.notify_all()

    def _overtake(self) -> None:
        """A frame of a live camera makes the one that waits too late."""
        if not self._live:
            return
        for late in [item for item in self._waiting if isinstance(item, Frame)]:
            self._waiting.remove(late)
            self._in_flight -= 1
            self._dropped[TOO_LATE] += 1

    def _has_room(self) -> bool:
        return len(self._waiting) < (_ROOM_FOR_LOSSES if self._live else _READ_AHEAD)

    def _may_take(self) -> bool:
        return bool(self._waiting) and self._taken - self._collected < self._slots

    def _is_drained(self) -> bool:
        return self._ended and not self._waiting

    def _is_over(self) -> bool:
        return self._is_drained() and self._collected == self._taken

    def _wait_until(self, is_so: Callable[[], bool]) -> None:
        self._changed.wait_for(is_so)
