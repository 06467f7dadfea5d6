"""Whether the server can still be reached since a release took over."""

from __future__ import annotations

import time


class Contact:
    """A release that breaks the network must not be committed: nobody could take it back.

    A server that was away before the release took over proves nothing, and is not waited for.
    """

    def __init__(self) -> None:
        self._is_reached = False
        self._reached_at = self._marked_at = 0.0
        self._is_owed = False

    def succeeded(self) -> None:
        """The server has answered."""
        self._is_reached, self._reached_at = True, time.monotonic()

    def failed(self) -> None:
        """The server could not be asked."""
        self._is_reached = False

    def mark(self) -> None:
        """A release takes over now."""
        self._marked_at, self._is_owed = time.monotonic(), self._is_reached

    @property
    def is_kept(self) -> bool:
        """Whether the server has been reached since the mark, or was away before it."""
        return not self._is_owed or self._reached_at > self._marked_at

    @property
    def owed_s(self) -> float:
        """Seconds since the mark; meaningful while the contact is not kept."""
        return time.monotonic() - self._marked_at
