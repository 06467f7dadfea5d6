"""What strangers, broken clients and worn-out disks send."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

WORDS = (
    "%00",
    "a%00b",
    "%ff%fe",
    "%ED%A0%80",
    "%0a",
    "%2e%2e%2fetc",
    "%zz",
    "'",
    "%F0%9F%92%A9",
    "x" * 300,
    "-1",
    "9" * 30,
    "9" * 5000,
)
"""In an address, encoded as they are sent."""

BODIES = (
    b"",
    b"{",
    b"null",
    b"[]",
    b"[[]]",
    b"0",
    b'"text"',
    b"\xff\xfe",
    b"\x1f\x8b\x08\x00\x00",
    b"NaN",
    b'{"a": 1e999}',
    b'{"reason": "a\\u0000b"}',
    b'{"reason": "\\ud800"}',
    b'{"\\u0000": 1}',
    b'{"no_such_field": 1}',
    b"[" * 100_000,
    b'{"a":' * 5000 + b"1" + b"}" * 5000,
)

VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    2**31,
    2**63,
    10**400,
    -0.5,
    1e308,
    "",
    "a\0b",
    "x" * 20_000,
    "../../etc/passwd",
    "9999-12-31T23:59:59-14:00",
    "@" * 40,
    [],
    ["a", {"b": None}],
    {},
    {"a": {"b": [1]}},
)

FIELDS = ("", "a\0b", "x" * 20_000, "9" * 400, "-1", "a/b/c", "\ufffe\u202e", "' or 1=1 --")
"""In a form that a person could have filled."""

HEADERS: tuple[dict[str, str], ...] = (
    {"Accept": "text/html"},
    {"Accept": ";;;,,"},
    {"Content-Encoding": "gzip"},
    {"Host": "elsewhere.example"},
    {"Host": "a b"},
    {"Cookie": 'sessionid="\\000\\000\\000\\000\\000\\000\\000\\000\\000"; csrftoken="\\000"'},
    {"Cookie": "=;;=\x7f; sessionid"},
    {"Range": "bytes=9-1,-"},
    {"If-None-Match": '"' * 9},
    {"X-HTTP-Method-Override": "TRACE"},
    {"HX-Request": "true", "HX-Current-URL": "http://[::1/%00"},
    {"Upload-Length": "9" * 5000, "Tus-Resumable": "1.0.0"},
    {"Upload-Length": "-1", "Upload-Metadata": "a \xff", "Tus-Resumable": "1.0.0"},
    {"Linewarden-Report": "[" * 1500},
    {"Authorization": "Bearer " + "." * 30},
    {"Authorization": "Bearer lw_\xff\xfe"},
    {"Authorization": "Basic =="},
)

TYPES = (
    "",
    "text/plain",
    "application/xml",
    "application/json; charset=hex",
    "application/x-www-form-urlencoded; charset=utf-16",
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "multipart/form-data; boundary=\xff",
    "multipart/form-data; boundary=x; charset=unicode_escape",
    ";;;",
)


def mutants(message: Any) -> Iterator[bytes]:
    """``message`` as JSON, each time with one thing in it replaced, missing or too many."""
    for path in _places(message):
        for value in VALUES:
            yield json.dumps(_replaced(message, path, value)).encode()
        yield json.dumps(_replaced(message, path, "@inf@")).replace('"@inf@"', "1e999").encode()
    if isinstance(message, dict):
        yield json.dumps({**message, "no_such_field": 1}).encode()


def _places(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list):
        inner = enumerate(value[:1])  # type: ignore[assignment]  # pairs, either way
    for key, item in inner:
        yield (*above, key)
        yield from _places(item, (*above, key))


def _replaced(message: Any, path: tuple[Any, ...], value: Any) -> Any:
    changed = copy.deepcopy(message)
    place = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return changed
