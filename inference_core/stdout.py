"""Standard output for one writer alone."""

from __future__ import annotations

import os
import sys

_STDOUT, _STDERR = 1, 2


def take_stdout() -> int:
    """A descriptor of the real standard output, for the caller alone.

    Native libraries print to file descriptor 1 without asking. From now on it leads to standard
    error, as ``sys.stdout`` does, so that their words cannot break the lines that another
    process parses.
    """
    sys.stdout.flush()
    kept = os.dup(_STDOUT)
    os.dup2(_STDERR, _STDOUT)
    return kept


def give_stdout_back(kept: int) -> None:
    """Undoes ``take_stdout``, and closes its descriptor."""
    sys.stdout.flush()
    os.dup2(kept, _STDOUT)
    os.close(kept)
