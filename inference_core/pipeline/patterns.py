"""Regular expressions from people, bounded: Python's engine backtracks and knows no deadline."""

from __future__ import annotations

import re
from functools import lru_cache

MAX_PATTERN_LENGTH = 200
MAX_TEXT_LENGTH = 100
MAX_CHOICES = 1_000_000
"""Most paths through one pattern on one text; well under a second at the worst."""

_CLASS_OR_ESCAPE = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
_BACK_REFERENCE = re.compile(r"(?<!\\)(?:\\\\)*\\[1-9]")
_REPEATED_GROUP = re.compile(r"\)[*+{]")
_REPEAT = re.compile(r"[*+?|]|\{(\d*)(,?)(\d*)\}")


class RefusedPattern(ValueError):
    """The pattern is broken, or could keep the line waiting."""


@lru_cache(maxsize=256)
def compile_pattern(pattern: str) -> re.Pattern[str]:
    """The compiled pattern. Raises ``RefusedPattern``.

    A repeat is a choice of lengths. Without repeated groups, back-references and look-around
    the number of paths is at most the product of the choices, which is held down.
    """
    if len(pattern) > MAX_PATTERN_LENGTH:
        raise RefusedPattern(f"a pattern has at most {MAX_PATTERN_LENGTH} characters")
    try:
        compiled = re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise RefusedPattern(f"the pattern {pattern!r} is broken: {error}") from error
    bare = _CLASS_OR_ESCAPE.sub("x", pattern).replace("(?:", "(")
    if "(?" in bare or _BACK_REFERENCE.search(pattern):
        raise RefusedPattern(f"{pattern!r} uses back-references or (?…); leave them out")
    if _REPEATED_GROUP.search(bare):
        raise RefusedPattern(f"{pattern!r} repeats a group; repeat single characters or classes")
    if _count_choices(bare) > MAX_CHOICES:
        raise RefusedPattern(f"{pattern!r} has too many repeats; use fewer of * + ? and |")
    return compiled


def _count_choices(bare: str) -> int:
    choices = 1
    for repeat in _REPEAT.finditer(bare):
        choices *= _weigh(repeat)
    return choices


def _weigh(repeat: re.Match[str]) -> int:
    if repeat[0] in "?|":
        return 2
    if repeat[0] in "*+":
        return MAX_TEXT_LENGTH
    least, comma, most = repeat.groups()
    if not comma:
        return 1
    return min(int(most or MAX_TEXT_LENGTH), MAX_TEXT_LENGTH) - int(least or 0) + 1
