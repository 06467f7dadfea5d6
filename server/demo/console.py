"""Progress for people, on standard error: standard output is for results."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable


class Console:
    """Prints lines with the seconds since it was made, and rewrites the last one on a terminal."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._is_terminal = sys.stderr.isatty()
        self._open_line = ""

    @property
    def seconds(self) -> float:
        """Seconds since the console was made."""
        return time.monotonic() - self._started

    def say(self, text: str) -> None:
        """A line that stays."""
        self._finish()
        self._write(f"{self.seconds:6.1f} s  {text}\n")

    def show(self, text: str) -> None:
        """What is going on just now; without a terminal, only when it changes."""
        if text == self._open_line:
            return
        self._open_line = text
        if self._is_terminal:
            self._write(f"\r\x1b[K{self.seconds:6.1f} s  {text}")
        else:
            self._write(f"{self.seconds:6.1f} s  {text}\n")

    def _finish(self) -> None:
        if self._open_line and self._is_terminal:
            self._write("\r\x1b[K")
        self._open_line = ""

    @staticmethod
    def _write(text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()


class TimedOut(Exception):
    """Something did not come about in time; the message says what and how far it was."""


def wait_until(
    look: Callable[[], str | None], *, console: Console, timeout_s: float, pause_s: float = 0.5
) -> None:
    """Wait until ``look`` returns None; what else it returns is shown as progress."""
    deadline = time.monotonic() + timeout_s
    while (progress := look()) is not None:
        console.show(progress)
        if time.monotonic() > deadline:
            raise TimedOut(f"After {timeout_s:.0f} s still: {progress}")
        time.sleep(pause_s)
