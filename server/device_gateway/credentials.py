"""Proof of a device's key, exchanged for a short token that is checked without SQL.

Assertion: RFC 7523, signed with EdDSA. Access token: a JWT (HS256) of this server alone; it
names the key it was given for, so that it dies with the key.
"""

from __future__ import annotations

import hashlib
import hmac
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import jwt
from django.conf import settings

from inference_core.contract.device import ACCESS_TOKEN_LIFETIME_S, ASSERTION_LIFETIME_S
from server.fleet.keys import fingerprint
from server.fleet.models import Device
from server.lib import clock
from server.lib.errors import Unauthenticated

LEEWAY_S = 10
"""How far the clock of a device may be off."""
_AUDIENCE = "device"
_UNREADABLE = (jwt.InvalidTokenError, ValueError, OverflowError, RecursionError)
"""What strangers get out of the decoder; infinite times and deeply nested claims among it."""
_CLAIMS = ["iss", "sub", "aud", "iat", "exp", "jti"]


@dataclass(frozen=True)
class Claims:
    """What an access token says: which device, and a mark of the key that it proved."""

    device_id: uuid.UUID
    key_mark: str


@dataclass(frozen=True)
class Assertion:
    """A verified assertion: ``use`` names it, and it may be used once before ``expires_at``."""

    use: str
    expires_at: datetime


def key_mark(public_key: str) -> str:
    """A short name of a key."""
    return fingerprint(public_key)[:16]


def issue(device: Device) -> str:
    """An access token for ``device``."""
    now = clock.now()
    claims = {
        "sub": str(device.pk),
        "aud": _AUDIENCE,
        "iat": now,
        "exp": now + timedelta(seconds=ACCESS_TOKEN_LIFETIME_S),
        "key": key_mark(device.public_key),
    }
    return jwt.encode(claims, _secret(settings.SECRET_KEY), algorithm="HS256")


def read(authorization: str) -> Claims:
    """The claims of an ``Authorization`` header; Unauthenticated where it is none of ours."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("Send the access token as Authorization: Bearer.")
    try:
        claims, expires_at = _verified(token.strip(), settings.SECRET_KEY)
    except _UNREADABLE:
        expires_at = 0.0
    if expires_at <= clock.now().timestamp():
        raise Unauthenticated("This access token is not valid any more; get another.")
    return claims


@lru_cache(maxsize=20_000)
def _verified(token: str, master: str) -> tuple[Claims, float]:
    """Claims and end of a token that is ours. Remembered: a device sends the same one 30 times."""
    claims = jwt.decode(
        token,
        _secret(master),
        algorithms=["HS256"],
        audience=_AUDIENCE,
        options={"require": ["sub", "aud", "exp", "key"]},
    )
    return Claims(uuid.UUID(claims["sub"]), str(claims["key"])), float(claims["exp"])


def claimed_device(assertion: str) -> uuid.UUID:
    """The device that an assertion names, before anything of it is believed."""
    try:
        claims = jwt.decode(assertion, options={"verify_signature": False})
        return uuid.UUID(str(claims.get("sub")))
    except _UNREADABLE:
        raise refused("it names no device") from None


def verify(assertion: str, *, device_id: uuid.UUID, public_key: str) -> Assertion:
    """Check signature, names and times; Unauthenticated says which of them is wrong."""
    try:
        claims: dict[str, Any] = jwt.decode(
            assertion,
            public_key,
            algorithms=["EdDSA"],
            audience=token_url(),
            issuer=str(device_id),
            subject=str(device_id),
            leeway=LEEWAY_S,
            options={"require": _CLAIMS},
        )
    except jwt.InvalidTokenError as error:
        raise refused(str(error)) from None
    except _UNREADABLE:
        raise refused("its claims cannot be read") from None
    issued_at, ends_at = _moment(claims["iat"]), _moment(claims["exp"])
    if ends_at - issued_at > ASSERTION_LIFETIME_S:
        raise refused(f"it lives longer than {ASSERTION_LIFETIME_S} s")
    use = hashlib.sha256(f"{device_id} {claims['jti']}".encode(errors="replace")).hexdigest()
    expires_at = datetime.fromtimestamp(ends_at, UTC) + timedelta(seconds=LEEWAY_S)
    return Assertion(use, expires_at)


def _moment(claim: Any) -> float:
    """A claim as seconds; the library also takes text that reads as a number."""
    if isinstance(claim, bool) or not isinstance(claim, (int, float)):
        raise refused("iat and exp must be numbers")
    return claim


def refused(why: str) -> Unauthenticated:
    """The answer to a bad assertion. It tells the time: a wrong clock is the usual reason."""
    return Unauthenticated(f"The assertion is refused: {why}.", server_time=clock.now().isoformat())


def token_url() -> str:
    """The audience of assertions: where they are exchanged."""
    return f"{settings.ENV.public_url.rstrip('/')}/device/v1/token"


@lru_cache(maxsize=4)
def _secret(master: str) -> bytes:
    """A key of its own purpose: a token of ours can never pass for something else signed."""
    return hmac.digest(master.encode(), b"linewarden device access token v1", "sha256")
