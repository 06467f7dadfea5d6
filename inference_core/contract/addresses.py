"""Addresses of cameras and sinks: what they may say, and how they are shown without secrets."""

from __future__ import annotations

import re
from urllib.parse import unquote_plus, urlsplit

SINK_SCHEMES = ("jsonl", "overlay", "mqtt", "mqtts", "http", "https", "modbus", "opc.tcp")

_START = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_NAMED_SECRET = re.compile(r"(?i)((?:pass(?:word|wd)?|pwd|token|secret|key|auth)[=:])[^&/;?#]*")
"""Some cameras take the password as a part of the path: /user=admin&password=…&channel=1."""
_QUERY_VALUE = re.compile(r"(?<==)[^&]*")

_SECRET_OPTION = re.compile(
    r"(?i)token|passw|pwd|secret|credential|signature|(?:api|access)[-_.]?key"
    r"|^(?:pass|key|sig|auth|authorization|jwt)$"
)
_NAMES_A_PLACE = {"secret_file", "secret_env"}
_INSTEAD = "put it in a file on the device and write secret_file=/path, or secret_env=NAME"


def redact(address: str) -> str:
    """The address with ``***`` for user, password, and every value of its query.

    Everything before the last @ counts as user and password: people write / and @ in them.
    """
    start = _START.match(address)
    scheme = start.group() if start else ""
    _, at, rest = address[len(scheme) :].rpartition("@")
    place, mark, query = rest.partition("?")
    shown = _NAMED_SECRET.sub(r"\1***", place) + mark + _QUERY_VALUE.sub("***", query)
    return f"{scheme}{'***@' if at else ''}{shown}"


def check_sink(address: str) -> None:
    """Raises ``ValueError`` where the scheme is unknown, or the address holds a secret itself.

    The error says what to write instead and never repeats the address. Whether the receiver
    can be used is for the device to find out.
    """
    scheme = address.partition("://")[0].lower()
    if scheme not in SINK_SCHEMES:
        known = ", ".join(f"{name}://" for name in SINK_SCHEMES)
        raise ValueError(f"a sink starts with one of {known}")
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError:  # its message may quote a part of a password
        raise ValueError("this is no address: look at its brackets and its port") from None
    if not address.isprintable() or parts.fragment or "@" in parts.path + parts.query:
        raise ValueError("write %23 for a #, %40 for an @ after the host, and no line breaks")
    if parts.password is not None:
        raise ValueError(f"a password is in the address: {_INSTEAD}")
    if parts.username is not None and scheme in ("http", "https"):
        raise ValueError("a web hook takes no user: it is signed with secret_file= or secret_env=")
    _check_options(parts.query, allowed={"key"} if scheme in ("mqtt", "mqtts") else set())


def _check_options(query: str, allowed: set[str]) -> None:
    """``key`` is the name of a file where TLS has one, and a secret elsewhere."""
    for option in re.split("[&;]", query):
        name = unquote_plus(option.partition("=")[0])
        if _SECRET_OPTION.search(name) and name not in allowed | _NAMES_A_PLACE:
            raise ValueError(f"an option of the address looks like a secret: {_INSTEAD}")
