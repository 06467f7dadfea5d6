"""How often a resident may die before it is no longer the release to run. No I/O."""

from __future__ import annotations

from collections import deque

from device_agent.backoff import Backoff


class RestartBudget:
    """Deaths of one release that never became steady, and the delay before the next start."""

    def __init__(self, *, deaths: int, window_s: float, base_s: float, cap_s: float) -> None:
        self._deaths: deque[float] = deque(maxlen=deaths)
        self._window_s = window_s
        self._backoff = Backoff(base_s=base_s, cap_s=cap_s)
        self._sha256: str | None = None

    def note_death(self, sha256: str, now_s: float) -> float:
        """Count a death; seconds to wait before the next start."""
        if sha256 != self._sha256:
            self.reset()
            self._sha256 = sha256
        self._deaths.append(now_s)
        return self._backoff.next_s()

    @property
    def is_spent(self) -> bool:
        """Whether the release has died as often as allowed within the window."""
        is_full = len(self._deaths) == self._deaths.maxlen
        return is_full and self._deaths[-1] - self._deaths[0] <= self._window_s

    def reset(self) -> None:
        """It became steady, or another release runs: restarting helps."""
        self._deaths.clear()
        self._backoff.reset()
