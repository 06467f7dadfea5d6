"""Progress of long work, on standard error and only where a person watches."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from tqdm import tqdm

Item = TypeVar("Item")


def track(items: Iterable[Item], what: str, total: int | None = None) -> Iterator[Item]:
    """The items, counted by a bar. It hides where the answers themselves scroll by."""
    return iter(
        tqdm(
            items,
            desc=what,
            total=total,
            unit=" files",
            leave=False,
            file=sys.stderr,
            disable=not sys.stderr.isatty() or sys.stdout.isatty(),
        )
    )


class Bar:
    """A share of work done, with words for what goes on."""

    def __init__(self, bar: tqdm[Any]) -> None:
        self._bar = bar

    @property
    def is_shown(self) -> bool:
        """Whether a person sees it."""
        return not self._bar.disable

    def show(self, share: float, what: str) -> None:
        """``share`` is from 0 to 1 of the whole, and only grows."""
        self._bar.set_description_str(what[:60], refresh=False)
        self._bar.update(max(share - self._bar.n, 0))


@contextmanager
def open_bar() -> Iterator[Bar]:
    """A bar from 0 to 1 that vanishes at the end."""
    with tqdm(
        total=1.0,
        file=sys.stderr,
        leave=False,
        bar_format="{percentage:3.0f}% |{bar:20}| {desc}",
        disable=not sys.stderr.isatty(),
    ) as bar:
        yield Bar(bar)
