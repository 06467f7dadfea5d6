"""Tells systemd that the agent is up and alive; silent where nobody listens."""

from __future__ import annotations

import os


class Systemd:
    """``sd_notify(3)``."""

    def __init__(self) -> None:
        self._notifier = None
        if os.environ.get("NOTIFY_SOCKET"):
            import sdnotify

            self._notifier = sdnotify.SystemdNotifier()

    def ready(self) -> None:
        """Started."""
        self._tell("READY=1")

    def alive(self) -> None:
        """Feed the watchdog."""
        self._tell("WATCHDOG=1")

    def stopping(self) -> None:
        """About to end."""
        self._tell("STOPPING=1")

    def _tell(self, state: str) -> None:
        if self._notifier:
            self._notifier.notify(state)
