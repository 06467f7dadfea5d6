"""How a long reading or writing shows where it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

Item = TypeVar("Item")


class Track(Protocol):
    """Hands the items on, one by one, and may show how many are done."""

    def __call__(self, items: Sequence[Item], what: str) -> Iterable[Item]:
        """``what`` is a verb: "read", "write"."""


def stay_silent(items: Sequence[Item], what: str) -> Iterable[Item]:
    """A ``Track`` that shows nothing."""
    del what
    return items
