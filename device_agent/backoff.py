"""Full-jitter exponential back-off, so that ten thousand devices do not return at once.

After Marc Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015.
"""

from __future__ import annotations

import random


class Backoff:
    """Delays between 0 and ``base_s * 2**n``, at most ``cap_s``; ``reset`` after a success."""

    def __init__(self, *, base_s: float = 1.0, cap_s: float = 300.0) -> None:
        self._base_s, self._cap_s = base_s, cap_s
        self._failures = 0

    @property
    def failures(self) -> int:
        """Failures since the last success."""
        return self._failures

    def next_s(self, wanted_s: float | None = None) -> float:
        """Count a failure and give the next delay, never below what the server asked for."""
        ceiling_s = min(self._cap_s, self._base_s * 2 ** min(self._failures, 30))
        self._failures += 1
        return (wanted_s or 0.0) + random.uniform(0, ceiling_s)  # noqa: S311 - no secret

    def reset(self) -> None:
        """A call succeeded: the next failure starts small again."""
        self._failures = 0
