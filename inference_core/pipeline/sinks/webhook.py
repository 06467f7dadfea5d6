"""Results to a web server, one POST each, signed where there is a secret."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import ssl
import time
from collections.abc import Callable

from inference_core.errors import BadInput
from inference_core.pipeline.sinks.address import Address
from inference_core.pipeline.sinks.base import Link, Parcel, Refused, Traits, Unreachable

_TIMEOUT_S = 5.0
_MAX_ANSWER_BYTES = 64 * 1024
_LATER = frozenset({408, 425, 429})


def open_link(address: Address) -> Link:
    """``https://host/path?ca=NAME&secret=NAME``; other options are the receiver's."""
    if not address.host:
        raise BadInput(f"{address.shown} names no host")
    if address.user is not None:
        raise BadInput(f"{address.shown}: a web hook takes no user; sign with secret=NAME")
    return _WebHook(address)


def sign(secret: str, body: bytes, at_s: int) -> str:
    """``t=…,v1=…``: HMAC-SHA256 over time, a dot and the body, so an old message cannot pass."""
    digest = hmac.new(secret.encode(), f"{at_s}.".encode() + body, hashlib.sha256)
    return f"t={at_s},v1={digest.hexdigest()}"


class _WebHook:
    """Keeps its connection. Redirects are not followed: a signature is for one receiver."""

    traits = Traits()

    def __init__(self, address: Address) -> None:
        query = address.without("ca")
        self._target = (address.path or "/") + (f"?{query}" if query else "")
        self._secret = address.read_secret()
        self._open = _find_opener(address)
        self._connection: http.client.HTTPConnection | None = None

    def deliver(self, parcel: Parcel) -> None:
        """Takes 2xx for an answer; 408, 425, 429, 5xx and silence mean later, the rest never."""
        try:
            status = self._post(parcel)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Unreachable(f"{type(error).__name__}: {error}") from error
        if status in _LATER or status >= 500:
            raise Unreachable(f"the server answers {status}")
        if not 200 <= status < 300:
            raise Refused(f"the server answers {status}")

    def _post(self, parcel: Parcel) -> int:
        was_kept = self._connection is not None
        try:
            return self._exchange(parcel)
        except ConnectionError:
            if not was_kept:
                raise
        # A kept connection may have been closed for idling: that is not the server's end.
        self.close()
        return self._exchange(parcel)

    def _exchange(self, parcel: Parcel) -> int:
        if self._connection is None:
            fresh = self._open()
            fresh.connect()
            self._connection = fresh
        body = parcel.result.to_json()
        headers = {"Content-Type": "application/json", "Linewarden-Delivery": parcel.id}
        if self._secret is not None:
            headers["Linewarden-Signature"] = sign(self._secret, body, int(time.time()))
        self._connection.request("POST", self._target, body=body, headers=headers)
        with self._connection.getresponse() as response:
            status = response.status
            response.read(_MAX_ANSWER_BYTES)
            if not response.isclosed():
                self.close()  # a longer answer is nobody's business
        return status

    def beat(self) -> None:
        """A web server needs no sign of life."""

    def close(self) -> None:
        """Hangs up."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None


def _find_opener(address: Address) -> Callable[[], http.client.HTTPConnection]:
    if address.scheme == "http":
        return lambda: http.client.HTTPConnection(address.host, address.port, timeout=_TIMEOUT_S)
    try:
        context = ssl.create_default_context(cafile=address.find_file("ca"))
    except OSError as error:
        raise BadInput(f"{address.shown}: the CA file cannot be used: {error}") from error
    return lambda: http.client.HTTPSConnection(
        address.host, address.port, timeout=_TIMEOUT_S, context=context
    )
