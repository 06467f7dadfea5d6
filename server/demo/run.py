"""``make run``: everything in the foreground until Ctrl-C; the data stays for the next start."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from server.demo import story
from server.demo.client import ApiError
from server.demo.console import Console, TimedOut
from server.demo.place import Place
from server.demo.processes import Ensemble
from server.demo.stack import ProcessDied, Stack, start_stack
from server.lib.errors import DomainError

STORY_ERRORS = (ProcessDied, story.StoryFailed, TimedOut, ApiError, DomainError)


class Interrupted(Exception):
    """Somebody asked us to stop."""


def _interrupt(_signum: int, _frame: FrameType | None) -> None:
    raise Interrupted


@contextmanager
def interruptible() -> Iterator[None]:
    """Turn the first SIGINT or SIGTERM into Interrupted; later ones wait for the orderly end."""
    signals = (signal.SIGINT, signal.SIGTERM)
    for number in signals:
        signal.signal(number, _interrupt)
    try:
        yield
    finally:
        for number in signals:
            signal.signal(number, signal.SIG_IGN)


def run(data: Path, port: int) -> int:
    """Start, say where to look, tell the story once, and watch until Ctrl-C."""
    console = Console()
    place = Place(data, port)
    try:
        with Ensemble(data / "logs", place.environment) as ensemble, interruptible():
            stack = start_stack(place, ensemble, console, announce)
            story.tell(stack)
            console.say(f"all is running at {place.url}; Ctrl-C stops it")
            while True:
                stack.check()
                time.sleep(1)
    except Interrupted:
        console.say("stopped; `make run` goes on from here")
        return 0
    except STORY_ERRORS as error:
        console.say(f"stopped: {error}")
        return 1


def announce(stack: Stack) -> None:
    """The address, and the password where it was made just now: it is not kept anywhere."""
    from server.config.prepare import ADMIN

    place = stack.place
    password = stack.new_password or (
        "as printed at the first start; for a new one:\n    "
        f"LINEWARDEN_DATA='{place.data}' .venv/bin/python server/manage.py changepassword {ADMIN}"
    )
    sys.stdout.write(f"\n  {place.url}\n  user      {ADMIN}\n  password  {password}\n\n")
    sys.stdout.flush()
