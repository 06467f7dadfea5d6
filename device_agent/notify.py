"""Tells systemd that the agent is up, alive and what it does; silent where nobody listens."""

from __future__ import annotations

import contextlib
import os
import socket


class Systemd:
    """``sd_notify(3)``. It never waits: a systemd that does not listen must not stop the agent."""

    def __init__(self) -> None:
        self._address = os.environ.get("NOTIFY_SOCKET", "")
        self._wants_signs_of_life = _watchdog_is_ours()
        self._said = ""

    def ready(self) -> None:
        """Started."""
        self._tell("READY=1")

    def alive(self) -> None:
        """Feed the watchdog, where one was set for this process."""
        if self._wants_signs_of_life:
            self._tell("WATCHDOG=1")

    def say(self, text: str) -> None:
        """The line that ``systemctl status`` shows; told when it changes."""
        line = " ".join(text.split())
        if line != self._said:
            self._said = line
            self._tell(f"STATUS={line}")

    def stopping(self) -> None:
        """About to end."""
        self._tell("STOPPING=1")

    def _tell(self, state: str) -> None:
        if not self._address.startswith(("/", "@")):
            return
        address = self._address.replace("@", "\0", 1) if self._address[0] == "@" else self._address
        with (
            contextlib.suppress(OSError),  # nobody is there, or does not read: not our affair
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel,
        ):
            channel.setblocking(False)
            channel.sendto(state.encode(), address)


def _watchdog_is_ours() -> bool:
    """``sd_watchdog_enabled(3)``: the variable may be inherited from another process."""
    pid = os.environ.get("WATCHDOG_PID", str(os.getpid()))
    return os.environ.get("WATCHDOG_USEC", "").isdigit() and pid == str(os.getpid())
