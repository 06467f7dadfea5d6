"""Structured single lines, to stderr and to a small rotating file."""

from __future__ import annotations

import collections
import logging
import os
import sys
import time
from collections.abc import Iterator
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TextIO

logger = logging.getLogger("linewarden.agent")

_MAX_BYTES = 1024 * 1024
_KEPT_FILES = 3


class _OneLine(logging.Formatter):
    """``time level thread message``: UTC, one line whatever the message holds."""

    converter = staticmethod(time.gmtime)

    def __init__(self) -> None:
        super().__init__(
            "%(asctime)s.%(msecs)03dZ %(levelname)-7s %(threadName)s %(message)s",
            "%Y-%m-%dT%H:%M:%S",
        )

    def format(self, record: logging.LogRecord) -> str:
        return " | ".join(super().format(record).splitlines())


def start_logging(folder: Path | None, *, is_verbose: bool = False) -> None:
    """Send the agent's log to stderr, and to ``folder/agent.log`` where one is given."""
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    if folder is not None:
        path = folder / "agent.log"
        handlers.append(
            RotatingFileHandler(path, maxBytes=_MAX_BYTES, backupCount=_KEPT_FILES, delay=True)
        )
    for handler in handlers:
        handler.setFormatter(_OneLine())
        logger.addHandler(handler)
    logger.setLevel(logging.DEBUG if is_verbose else logging.INFO)
    logger.propagate = False


def newest(path: Path, lines: int) -> Iterator[str]:
    """The last lines of a log. ``OSError`` where there is none."""
    with path.open(errors="replace") as file:
        yield from (line.rstrip("\n") for line in collections.deque(file, maxlen=max(0, lines)))


def follow(path: Path, lines: int, every_s: float = 0.5) -> Iterator[str]:
    """The last lines, and each new one, for ever; goes on in the new file after a rotation."""
    file = path.open(errors="replace")
    started = collections.deque(file, maxlen=max(0, lines))
    yield from (line.rstrip("\n") for line in started)
    begun = ""
    while True:
        # Asked before the rest is read: a line that came just before a rotation is not lost.
        is_over = _is_replaced(path, file)
        while piece := file.readline():
            begun += piece
            if begun.endswith("\n"):
                yield begun.rstrip("\n")
                begun = ""
        if is_over:
            file.close()
            file = path.open(errors="replace")
        else:
            time.sleep(every_s)


def _is_replaced(path: Path, file: TextIO) -> bool:
    try:
        return path.stat().st_ino != os.fstat(file.fileno()).st_ino
    except FileNotFoundError:  # between the two renames of a rotation
        return False


class Edge:
    """Says once that something broke, and once that it works again."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._is_broken = False

    def broke(self, reason: object) -> None:
        """It does not work; silent when that was said before."""
        if not self._is_broken:
            logger.warning("%s: lost: %s", self._what, reason)
        self._is_broken = True

    def works(self) -> None:
        """It works; silent unless it was broken."""
        if self._is_broken:
            logger.info("%s: recovered", self._what)
        self._is_broken = False
