"""What no door takes, whatever it is for: judged before a view is chosen."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

from django.conf import settings
from django.http import HttpRequest, QueryDict

from server.lib.errors import Malformed, NotFound, UnsupportedType

MAX_DIGITS, MAX_ADDRESS = 18, 64
_UTF8 = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})


def require_readable(request: HttpRequest) -> None:
    """A refusal for an address, cookie or header that cannot be understood.

    Reads no body. What passes has text in UTF-8 without NUL, which PostgreSQL refuses.
    """
    if "\0" in request.path_info:
        raise NotFound("There is nothing at this address: it holds the character U+0000.")
    _require_query(unquote_to_bytes(request.META.get("QUERY_STRING", "")))
    if any("\0" in value for value in request.COOKIES.values()):
        raise Malformed("A cookie holds the character U+0000; delete the cookies of this site.")
    _require_length(request.META.get("CONTENT_LENGTH") or "0")
    charset = (request.content_params or {}).get("charset", "utf-8")
    if charset.lower() not in _UTF8:
        raise UnsupportedType(f"Send text in UTF-8, not in {charset[:40]!r}.")
    coding = request.headers.get("Content-Encoding", "identity")
    if coding.lower() != "identity":
        raise UnsupportedType(f"Send the body uncompressed, not as {coding[:40]!r}.")


def address_of(request: HttpRequest) -> str:
    """Where a request comes from, for counting attempts.

    Of X-Forwarded-For only what our own proxies added is believed; the rest a caller writes.
    """
    proxies = settings.ENV.proxies
    told = request.headers.get("X-Forwarded-For", "") if proxies else ""
    addresses = [address.strip()[:MAX_ADDRESS] for address in told.split(",")]
    remote: str = request.META.get("REMOTE_ADDR", "")
    return addresses[-min(proxies, len(addresses))] or remote if told else remote


def require_plain(form: QueryDict | Mapping[str, str]) -> None:
    """Malformed where a field of a form holds NUL; a person cannot type it."""
    lists = form.lists() if isinstance(form, QueryDict) else [(k, [v]) for k, v in form.items()]
    for name, values in lists:
        if "\0" in name or any("\0" in value for value in values):
            raise Malformed(
                "A field of the form holds the character U+0000, which cannot be stored; type it "
                "anew."
            )


def _require_query(raw: bytes) -> None:
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise Malformed("The query of this address is not UTF-8; encode it afresh.") from None
    if "\0" in text:
        raise Malformed("The query of this address holds the character U+0000; leave it out.")


def _require_length(announced: str) -> None:
    if not (announced.isascii() and announced.isdecimal() and len(announced) <= MAX_DIGITS):
        raise Malformed("Content-Length is no number of bytes.")
