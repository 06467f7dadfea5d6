"""Addresses of cameras without the passwords in them, fit for logs and reports."""

from __future__ import annotations

import re

_NAMED_SECRET = re.compile(r"(?i)((?:pass(?:word|wd)?|pwd|token|secret|key|auth)[=:])[^&/;?#]*")
"""Some cameras take the password as a part of the path: /user=admin&password=…&channel=1."""
_QUERY_VALUE = re.compile(r"(?<==)[^&]*")


def redact(address: str) -> str:
    """The address with ``***`` for user, password, and every value of its query.

    Everything before the last @ counts as user and password: people write / and @ in them.
    """
    scheme, has_scheme, rest = address.rpartition("://")
    _, at, rest = rest.rpartition("@")
    place, mark, query = rest.partition("?")
    shown = _NAMED_SECRET.sub(r"\1***", place) + mark + _QUERY_VALUE.sub("***", query)
    return f"{scheme}{has_scheme}{'***@' if at else ''}{shown}"
