"""Foreign JSON: decoded within limits, and such as every database can store."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from pydantic_core import from_json

from server.lib.errors import Invalid

MAX_INTEGER = 2**63 - 1
NUL = "A text holds the character U+0000, which cannot be stored; leave it out."
HALF = "A text holds half of a surrogate pair, which cannot be stored; leave it out."
TOO_LARGE = "A number is not finite, or larger than 64 bits hold; send it smaller, or as text."


def decode(body: bytes | str) -> Any:
    """The document. ValueError where it is no JSON or nested deeper than 200.

    Invalid where some text or number of it could not be stored.
    """
    document = from_json(body, allow_inf_nan=False)
    require_storable(document)
    return document


def require_storable(document: Any) -> None:
    """Invalid for NUL, halves of surrogate pairs, and numbers beyond 64 bits, as 1e999 is."""
    waiting: list[tuple[str, Any]] = [("", document)]
    while waiting:
        path, value = waiting.pop()
        if problem := next(filter(None, map(_problem, _own(value))), ""):
            said = f"{path[1:]}: {problem}" if path else problem
            raise Invalid(said, errors=[{"path": path[1:], "detail": problem}])
        if isinstance(value, dict):
            waiting += [(f"{path}.{name}", inner) for name, inner in value.items()]
        elif isinstance(value, list):
            waiting += [(f"{path}.{place}", inner) for place, inner in enumerate(value)]


def _own(value: Any) -> Iterable[Any]:
    """What is to be judged of a value itself: names of an object, or all of a plain one."""
    return value if isinstance(value, dict) else () if isinstance(value, list) else (value,)


def _problem(value: Any) -> str:
    if isinstance(value, str):
        return NUL if "\0" in value else "" if _encodes(value) else HALF
    if isinstance(value, (int, float)) and not _fits(value):
        return TOO_LARGE
    return ""


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _fits(number: float) -> bool:
    if isinstance(number, float):
        return math.isfinite(number)
    return -MAX_INTEGER <= number <= MAX_INTEGER
