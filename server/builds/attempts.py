"""What builds and golden checks have in common as children: their limits, and how they ended."""

from __future__ import annotations

import math
import os

from django.conf import settings

from server.lib.children import ChildLimits, Completed, Ending

MEMORY_BYTES = 16 * 1024**3
"""Address space, not memory: runtimes reserve far more than they touch."""


def child_limits(**changes: int) -> ChildLimits:
    """As much processor time as all cores give within the hard limit."""
    cpu_s = math.ceil(settings.ENV.build_timeout_s * (os.cpu_count() or 1)) + 1
    return ChildLimits(memory_bytes=MEMORY_BYTES, cpu_s=cpu_s, **changes)


def describe_ending(what: str, done: Completed) -> str:
    """Why there is no outcome, for a person; ``what`` is "build", "check" or "comparison"."""
    tail = done.stderr_tail.strip().splitlines()
    last = f" It last said: {tail[-1][:300]}" if tail else ""
    if done.ending is Ending.TIMEOUT:
        return f"The {what} did not end within {settings.ENV.build_timeout_s:g} s.{last}"
    if done.ending is Ending.OUTPUT:
        return f"The {what} wrote without end and was stopped."
    if done.ending is Ending.CANCELLED:
        return f"The lease was lost while the {what} ran."
    if done.returncode < 0:
        return f"The {what} was killed by signal {-done.returncode}.{last}"
    return f"The {what} ended with status {done.returncode} and no outcome.{last}"
