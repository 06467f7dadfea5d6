"""Where a turn works on the disk, and the note of the one that has begun."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from device_agent.files import make_folder, write_atomically
from inference_core.contract.base import Message

Room = Literal["builds", "checks"]
"""Below which address the calls of a turn lie: it builds, or it judges golden cases."""

VERBS: dict[Room, str] = {"builds": "built", "checks": "judged golden cases"}


class BegunTurn(Message):
    """A turn whose lease was asked for; ``reason`` is what to give it back with."""

    turn: int
    room: Room = "builds"
    reason: str = ""

    @property
    def place(self) -> str:
        """Where the server has it, for example ``builds/7``."""
        return f"{self.room}/{self.turn}"

    @property
    def why(self) -> str:
        """The reason, or that of a turn that nobody could end."""
        return self.reason or f"the agent was interrupted while it {VERBS[self.room]}"


class Desk:
    """The folder ``build``: a note that survives a power cut, and a place that never does."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._note = folder / "turn.json"
        self.work = folder / "work"

    def begin(self, begun: BegunTurn) -> None:
        """Write down, before the lease is asked for, that this turn is ours to end."""
        make_folder(self._folder)
        self.note(begun)

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
