"""``requests``, without the library that guesses encodings: 3 MB for a question that nobody asks.

Everything in ``device_agent`` takes ``requests`` from here, or the first to import it would load
the guesser. Bodies are read as bytes or JSON; ``response.text`` without a charset is UTF-8.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_GUESSERS = ("chardet", "charset_normalizer")

__all__ = ["requests"]


@contextmanager
def _hidden(*names: str) -> Iterator[None]:
    """Importing them fails meanwhile, as if they were not installed; loaded ones stay."""
    absent = [name for name in names if name not in sys.modules]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Unable to find acceptable character detection")
        sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]  # None: not there
        try:
            yield
        finally:
            for name in absent:
                sys.modules.pop(name, None)


with _hidden(*_GUESSERS):
    import requests
