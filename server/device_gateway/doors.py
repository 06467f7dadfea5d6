"""What every address for devices does first: verb, size, type, pace, and who it is."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.core.cache import cache
from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.csrf import csrf_exempt
from redis.exceptions import RedisError

from server.device_gateway import credentials
from server.device_gateway.errors import require_accepted
from server.fleet.models import Device
from server.lib import clock
from server.lib.errors import (
    Malformed,
    MethodNotAllowed,
    TooLarge,
    TooMany,
    Unauthenticated,
    Unavailable,
    UnsupportedType,
)
from server.lib.problem import answers_problems
from server.lib.requests import address_of

P = ParamSpec("P")
View = Callable[..., HttpResponseBase]
logger = logging.getLogger(__name__)


def door(*methods: str) -> Callable[[View], View]:
    """A plain view for programs: no session, no CSRF, problems as problem documents."""

    def decorate(view: View) -> View:
        def check_method(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
            if request.method not in methods:
                allowed = ", ".join(methods)
                raise MethodNotAllowed(f"Use {allowed} here.", allow=allowed)
            return view(request, *args, **kwargs)

        return csrf_exempt(wraps(view)(answers_problems(check_method)))

    return decorate


def for_device(
    view: Callable[Concatenate[HttpRequest, Device, P], HttpResponseBase],
) -> View:
    """Give the view the device that calls: accepted, and with the key its token was given for."""

    @wraps(view)
    def find(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        return view(request, caller(claims_of(request)), *args, **kwargs)

    return find


def claims_of(request: HttpRequest) -> credentials.Claims:
    """What the access token of ``request`` says; no SQL."""
    return credentials.read(request.headers.get("Authorization", ""))


def caller(claims: credentials.Claims) -> Device:
    """The device of ``claims``, as the database knows it now."""
    device = (
        Device.objects.select_related("profile", "line", "presence")
        .filter(pk=claims.device_id)
        .first()
    )
    if device is None:
        raise Unauthenticated("This device is not enrolled here.")
    require_accepted(device)
    if credentials.key_mark(device.public_key) != claims.key_mark:
        raise Unauthenticated("This access token belongs to a key that is no longer in force.")
    return device


def read_body(request: HttpRequest, *, max_bytes: int) -> bytes:
    """The JSON text of ``request``, whole and within the limit."""
    require_type(request, "application/json")
    declared = require_size(request, max_bytes=max_bytes)
    body = request.body
    if len(body) != declared:
        # A proxy or a line that broke: nothing is wrong with what the device wanted to say.
        raise Unavailable("The body arrived cut short; send it again.")
    return body


def require_type(request: HttpRequest, content_type: str) -> None:
    """UnsupportedType unless the body is of this kind, as it is and not compressed."""
    if request.content_type != content_type:
        raise UnsupportedType(f"Send {content_type}, not {request.content_type or 'nothing'}.")
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise UnsupportedType("Send the body uncompressed.")


def require_size(request: HttpRequest, *, max_bytes: int) -> int:
    """The declared length, before a byte is read; TooLarge above ``max_bytes``."""
    try:
        declared = int(request.headers.get("Content-Length") or "")
    except ValueError:
        raise Malformed("Send a Content-Length.") from None
    if declared > max_bytes:
        raise TooLarge(f"The request is larger than {max_bytes} bytes.", max_bytes=max_bytes)
    return declared


def limited(name: str, *, per_minute: int) -> Callable[[View], View]:
    """At most so many calls a minute from one address, counted in the shared cache."""

    def decorate(view: View) -> View:
        @wraps(view)
        def count(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
            address = address_of(request)
            if _count(f"door:{name}:{address}:{int(clock.now().timestamp() // 60)}") > per_minute:
                raise TooMany("Too many attempts from your address; wait a minute.")
            return view(request, *args, **kwargs)

        return count

    return decorate


def _count(name: str) -> int:
    try:
        return 1 if cache.add(name, 1, timeout=120) else cache.incr(name)
    except (OSError, RedisError, ValueError):
        # Without its cache the server still lets devices in; ValueError: it expired meanwhile.
        logger.warning("attempts cannot be counted", exc_info=True)
        return 0
