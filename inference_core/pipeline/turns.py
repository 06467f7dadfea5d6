"""Frames overlap, but what remembers earlier frames sees them in order."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from inference_core.pipeline.stopwatch import Stopwatch


class Queue:
    """One stage's order: frame ``n`` waits until all before it have passed."""

    def __init__(self) -> None:
        self._next = 0
        self._passed: set[int] = set()
        self._changed = threading.Condition()

    @contextmanager
    def in_turn(self, number: int, watch: Stopwatch) -> Iterator[None]:
        """Waits for the turn of frame ``number`` and passes on at the end."""
        watch.has_decoded()
        with self._changed:
            self._changed.wait_for(lambda: self._next >= number)
        watch.has_waited()
        try:
            yield
        finally:
            self.leave(number)

    def leave(self, number: int) -> None:
        """Frame ``number`` has passed, or never will. Saying it twice does no harm."""
        with self._changed:
            if number >= self._next:
                self._passed.add(number)
            while self._next in self._passed:
                self._passed.remove(self._next)
                self._next += 1
            self._changed.notify_all()
