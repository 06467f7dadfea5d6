"""Where a build works on the disk, and the note of the turn that has begun."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from pydantic import ValidationError

from device_agent.files import make_folder, write_atomically
from inference_core.contract.base import Message


class BegunTurn(Message):
    """A turn whose lease was asked for; ``reason`` is what to give it back with."""

    turn: int
    reason: str = "the agent was interrupted while it built"


class Desk:
    """The folder ``build``: a note that survives a power cut, and a place that never does."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._note = folder / "turn.json"
        self.work = folder / "work"

    def begin(self, turn: int) -> None:
        """Write down, before the lease is asked for, that this turn is ours to end."""
        make_folder(self._folder)
        self.note(BegunTurn(turn=turn))

    def note(self, begun: BegunTurn) -> None:
        """Replace the note."""
        write_atomically(self._note, begun.to_json())

    def begun(self) -> BegunTurn | None:
        """The turn that is not known to have ended."""
        try:
            return BegunTurn.model_validate_json(self._note.read_bytes())
        except (OSError, ValidationError):
            return None

    def set_up(self) -> Path:
        """An empty place to work at."""
        self.sweep()
        make_folder(self.work, mode=0o700)
        return self.work

    def sweep(self) -> None:
        """Remove whatever a build has left, however it ended."""
        shutil.rmtree(self.work, ignore_errors=True)

    def end(self) -> None:
        """The turn is over, and the server knows."""
        with contextlib.suppress(FileNotFoundError):
            self._note.unlink()
