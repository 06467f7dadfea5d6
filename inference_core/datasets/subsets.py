"""Names of the parts of a set, the same in every format."""

from __future__ import annotations

import re

_SAME = {
    "training": "train",
    "val": "valid",
    "validation": "valid",
    "dev": "valid",
    "testing": "test",
}
_UNSAFE = re.compile(r"[^a-z0-9]+")


def name_subset(text: str) -> str:
    """``Validation``, ``val`` and ``valid`` are one subset; the result is safe in a file name."""
    plain = _UNSAFE.sub("-", text.lower()).strip("-")[:50].strip("-")
    return _SAME.get(plain, plain)
