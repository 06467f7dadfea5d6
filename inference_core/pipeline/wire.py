"""The child's side of the line protocol with the agent: events out, commands in."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections import deque
from collections.abc import Iterator
from typing import BinaryIO

from pydantic import ValidationError

from inference_core.contract.base import Message
from inference_core.contract.serve import (
    AGENT_COMMAND,
    AnyAgentCommand,
    Command,
    JudgeFrame,
    SetSampleRates,
    ShareFrames,
)
from inference_core.stdout import take_stdout

_log = logging.getLogger(__name__)
_MAX_LINE_BYTES = 64 * 1024
_MAX_TO_JUDGE = 8
STDIN = 0
EXIT_ORPHANED = 3


class EventStream:
    """Writes events as JSON lines; safe to use from several threads."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    @classmethod
    def capture_stdout(cls) -> EventStream:
        """Takes standard output for events alone; whatever else prints lands on stderr."""
        return cls(os.fdopen(take_stdout(), "wb", buffering=0))

    def emit(self, event: Message) -> None:
        """Writes one line. Leaves the process where the agent no longer reads."""
        line = event.to_json() + b"\n"
        try:
            with self._lock:
                _write_all(self._stream, line)
        except BrokenPipeError:
            abandon("stdout is closed")


class Control:
    """What the agent wants: set by the threads of stdin and signals, read by the frame loop."""

    def __init__(self, *, paused: bool) -> None:
        self._paused = paused
        self._stopping = False
        self._share = 0.0
        self._sample_rates: SetSampleRates | None = None
        self._to_judge: deque[JudgeFrame] = deque()
        self._changed = threading.Condition()

    @property
    def is_paused(self) -> bool:
        """No frames are taken."""
        return self._paused

    @property
    def is_stopping(self) -> bool:
        """The frame in hand is the last."""
        return self._stopping

    @property
    def share(self) -> float:
        """The share of frames to lay down for another child."""
        return self._share

    @property
    def sample_rates(self) -> SetSampleRates | None:
        """What the upload budget allows; None until the agent has said."""
        return self._sample_rates

    def next_to_judge(self) -> JudgeFrame | None:
        """The oldest frame of another child that waits to be judged; it is taken."""
        with self._changed:
            return self._to_judge.popleft() if self._to_judge else None

    def stop(self) -> None:
        """Finish the frame in hand; also from a signal handler."""
        self.obey(Command(command="stop"))

    def obey(self, command: AnyAgentCommand) -> None:
        """Takes in what the agent wants."""
        with self._changed:
            if isinstance(command, Command):
                self._obey_word(command)
            elif isinstance(command, ShareFrames):
                self._share = command.share
            elif isinstance(command, SetSampleRates):
                self._sample_rates = command
            elif len(self._to_judge) < _MAX_TO_JUDGE:
                self._to_judge.append(command)
            else:
                _log.warning("%d frames wait to be judged: one more is not taken", _MAX_TO_JUDGE)
            self._changed.notify_all()

    def wait(self, longest_s: float) -> None:
        """Sleeps, but wakes when the agent wants something else."""
        with self._changed:
            if not self._stopping and not self._to_judge:
                self._changed.wait(longest_s)

    def _obey_word(self, command: Command) -> None:
        if command.command == "stop":
            self._stopping = True
        else:
            self._paused = command.command == "pause"


def listen(descriptor: int, control: Control) -> None:
    """Starts a thread that obeys commands. The end of the pipe means that the agent died."""
    threading.Thread(
        target=_obey_lines, args=(descriptor, control), name="stdin", daemon=True
    ).start()


def abandon(reason: str) -> None:
    """Leaves at once, also from within a hanging native call: nobody is there to be told."""
    sys.stderr.write(f"infer serve: {reason}: the agent is gone\n")
    sys.stderr.flush()
    os._exit(EXIT_ORPHANED)


def _obey_lines(descriptor: int, control: Control) -> None:
    for line in _read_lines(descriptor):
        _obey_line(line, control)
    abandon("stdin is closed")


def _read_lines(descriptor: int) -> Iterator[bytes]:
    """Not through ``sys.stdin``: a thread that waits inside its lock aborts the interpreter's end.

    Of a line without end only the tail is kept; it is no command anyway.
    """
    rest = b""
    while chunk := os.read(descriptor, _MAX_LINE_BYTES):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
        rest = rest[-_MAX_LINE_BYTES:]


def _obey_line(line: bytes, control: Control) -> None:
    try:
        control.obey(AGENT_COMMAND.validate_json(line))
    except ValidationError as error:
        _log.warning("not a command: %r (%s)", line[:200], error.errors()[0]["msg"])


def _write_all(stream: BinaryIO, line: bytes) -> None:
    """An unbuffered pipe may take a part of a long line."""
    view = memoryview(line)
    while view:
        view = view[stream.write(view) :]
