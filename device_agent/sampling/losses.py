"""Samples that were drawn and never reached the server: counted, and told of."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from device_agent.files import write_atomically
from device_agent.log import logger
from inference_core.contract.base import Message
from inference_core.contract.sampling import SampleReason

_TOLD_EVERY_S = 3600.0

Cause = Literal[
    "over_limit", "over_budget", "not_written", "too_large", "left_behind", "unreadable", "refused"
]
"""over_limit: too many wait. left_behind: the agent ended before it had heard of the draw."""


class _Losses(Message):
    since: datetime
    counts: dict[str, int] = Field(description='By reason and cause, as in "random over_limit".')


class SampleLosses:
    """Estimates divide by probabilities that do not know of these losses, so the server must.

    Counted durably, and told at most once an hour; told twice where the power fails in between.
    Thread-safe.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._since: datetime | None = None
        self._counts: Counter[str] = Counter()
        self._due_at = 0.0
        self._load()

    def add(self, reason: SampleReason | Literal["unknown"], cause: Cause) -> None:
        """Count one."""
        with self._lock:
            self._since = self._since or datetime.now(timezone.utc)
            self._counts[f"{reason} {cause}"] += 1
            saved = _Losses(since=self._since, counts=dict(self._counts))
            write_atomically(self._path, saved.to_json())

    def tell_when_due(self, tell: Callable[[str], None]) -> None:
        """Give a sentence with the counts to ``tell``, which must have kept it on return."""
        with self._lock:
            if self._since is None or time.monotonic() < self._due_at:
                return
            counts = ", ".join(f"{count} {name}" for name, count in sorted(self._counts.items()))
            tell(f"since {self._since.isoformat(timespec='seconds')}: {counts}")
            self._due_at = time.monotonic() + _TOLD_EVERY_S
            self._since, self._counts = None, Counter()
            self._path.unlink(missing_ok=True)

    def _load(self) -> None:
        if not self._path.exists():
            return
        try:
            saved = _Losses.model_validate_json(self._path.read_bytes())
        except ValidationError as error:
            logger.warning("the count of lost samples cannot be read: %s", error)
            self._path.unlink()
            return
        self._since, self._counts = saved.since, Counter(saved.counts)
