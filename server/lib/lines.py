"""Output of a child: kept within a limit, and cut into lines as it comes."""

from __future__ import annotations

from collections.abc import Callable

TAIL_BYTES = 8 * 1024


class Tail:
    """Keeps the last kilobytes of what may be endless."""

    is_full = False

    def __init__(self) -> None:
        self._kept = bytearray()

    def take(self, chunk: bytes) -> None:
        """Add what was read."""
        self._kept = (self._kept + chunk)[-TAIL_BYTES:]

    def text(self) -> str:
        """What is left of it."""
        return self._kept.decode(errors="replace")


class Lines:
    """Collects chunks up to a limit; ``on_line`` gets every whole line once, without its end."""

    def __init__(self, limit_bytes: int, on_line: Callable[[str], None] | None) -> None:
        self._limit_bytes, self._on_line = limit_bytes, on_line
        self._kept, self._begun = bytearray(), bytearray()
        self.is_full = False

    def take(self, chunk: bytes) -> None:
        """Add what was read."""
        room = self._limit_bytes - len(self._kept)
        self.is_full = len(chunk) > room
        self._kept += chunk[:room]
        if self._on_line is None:
            return
        *whole, rest = (self._begun + chunk[:room]).split(b"\n")
        self._begun = bytearray(rest)
        for line in whole:
            self._on_line(line.decode(errors="replace"))

    def finish(self) -> None:
        """Hand over a last line that has no end."""
        if self._on_line is not None and self._begun:
            self._on_line(self._begun.decode(errors="replace"))
            self._begun.clear()

    def text(self) -> str:
        """All that was kept."""
        return self._kept.decode(errors="replace")
