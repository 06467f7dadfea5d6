"""``python -m server broker``: keep the broker until a signal says to end."""

from __future__ import annotations

import signal
import sys
import threading

from server.broker.keeper import keep_broker
from server.lib.errors import NotFound


def main() -> int:
    """Exit status 2 where the settings name no broker."""
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    try:
        keep_broker(stopped)
    except NotFound as error:
        sys.stderr.write(f"linewarden: {error.detail}\n")
        return 2
    return 0
