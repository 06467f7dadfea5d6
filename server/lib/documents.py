"""Foreign JSON: decoded within limits, and such as every database can store."""

from __future__ import annotations

import math
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
    waiting = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            _require_text(value)
        elif isinstance(value, dict):
            waiting += value.keys()
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, (int, float)) and not _fits(value):
            raise Invalid(TOO_LARGE)


def _require_text(text: str) -> None:
    if "\0" in text:
        raise Invalid(NUL)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Invalid(HALF) from None


def _fits(number: float) -> bool:
    if isinstance(number, float):
        return math.isfinite(number)
    return -MAX_INTEGER <= number <= MAX_INTEGER
