"""The tus resumable upload protocol 1.0.0, as its headers have it.

Core, with creation, expiration, checksum and termination: https://tus.io/protocols/resumable-upload
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime

from django.utils.http import http_date

from server.lib.errors import DomainError, Malformed
from server.uploads.checksums import ALGORITHMS

VERSION = "1.0.0"
EXTENSIONS = ("creation", "expiration", "checksum", "termination")
CONTENT_TYPE = "application/offset+octet-stream"
OVERRIDABLE = frozenset({"PATCH", "DELETE"})
"""Methods that a proxy may not let through, and a POST may stand for. Never a safe one."""
_MAX_DIGITS = 18


class WrongVersion(DomainError):
    """The client speaks no version of the protocol that is spoken here."""

    status = 412
    code = "wrong_version"


def require_version(headers: Mapping[str, str]) -> None:
    """Raise WrongVersion unless the request is of this protocol."""
    given = headers.get("Tus-Resumable")
    if given != VERSION:
        raise WrongVersion(
            f"Tus-Resumable is {given or 'missing'}; this server speaks {VERSION}. Send it with "
            "every request."
        )


def read_number(headers: Mapping[str, str], name: str) -> int:
    """A header that is a number of bytes; raises Malformed."""
    text = headers.get(name, "").strip()
    if not text.isascii() or not text.isdecimal() or len(text) > _MAX_DIGITS:
        raise Malformed(f"{name} is {text[:40]!r}; it must be a number of bytes.")
    return int(text)


def read_metadata(text: str) -> dict[str, str]:
    """``Upload-Metadata``: names with base64 of UTF-8, comma between them; raises Malformed."""
    found: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = pair.partition(" ")
        if name in found:
            raise Malformed(f"Upload-Metadata has {name!r} twice.")
        try:
            found[name] = base64.b64decode(value.strip(), validate=True).decode()
        except (binascii.Error, ValueError):
            raise Malformed(f"Upload-Metadata: {name!r} is not base64 of UTF-8.") from None
    return found


def capabilities(max_bytes: int) -> dict[str, str]:
    """What the server says of itself."""
    return {
        "Tus-Version": VERSION,
        "Tus-Extension": ",".join(EXTENSIONS),
        "Tus-Max-Size": str(max_bytes),
        "Tus-Checksum-Algorithm": ",".join(ALGORITHMS),
    }


def expires(moment: datetime) -> str:
    """``Upload-Expires``."""
    return http_date(moment.timestamp())
