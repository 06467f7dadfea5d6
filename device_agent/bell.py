"""Ends the rest of a loop early: rung by any thread, and by a signal handler of this very one."""

from __future__ import annotations

import math
import os
import select
import weakref


class Bell:
    """One waits, anybody rings; rings before a wait are not lost, and several are one.

    The kernel waits, in an eventfd. ``threading.Event`` would deadlock where a handler rings in
    the thread that waits, and ``queue.SimpleQueue.get`` may wait for ever where its time-out is
    nearly over as it begins: on Python 3.10 also where it is 0, as a loop with work to do says.
    """

    def __init__(self) -> None:
        self._fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._waiting = select.poll()
        self._waiting.register(self._fd, select.POLLIN)
        weakref.finalize(self, os.close, self._fd)

    def ring(self) -> None:
        """End the wait, or the next one."""
        os.eventfd_write(self._fd, 1)

    def wait(self, longest_s: float) -> bool:
        """Wait for a ring, at most so long; whether there was one."""
        if not self._waiting.poll(math.ceil(max(0.0, longest_s) * 1000)):
            return False
        os.eventfd_read(self._fd)
        return True
