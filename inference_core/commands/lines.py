"""Standard output as a channel of lines that nothing else can write to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from inference_core.contract.base import Message
from inference_core.stdout import give_stdout_back, take_stdout


class LineWriter:
    """Writes whole lines, and each at once: somebody may be watching."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write_line(self, text: str) -> None:
        """One line of text."""
        self._stream.write(f"{text}\n")
        self._stream.flush()

    def write_message(self, message: Message) -> None:
        """One contract message as a line of JSON."""
        self.write_line(message.to_json().decode())


@contextmanager
def claim_stdout() -> Iterator[LineWriter]:
    """The process's standard output, for the writer alone; given back at the end."""
    kept = take_stdout()
    try:
        with os.fdopen(kept, "w", encoding="utf-8", closefd=False) as stream:
            yield LineWriter(stream)
    finally:
        give_stdout_back(kept)
