"""Errors that a caller can act on: what happened, whose fault it is, what to do next."""

from __future__ import annotations

from typing import Any, ClassVar


class DomainError(Exception):
    """Base of what services raise; the API answers it as a problem document (RFC 9457).

    ``detail`` is a sentence for a person. ``extra`` holds members that a program may read.
    """

    status: ClassVar[int] = 400
    code: ClassVar[str] = "bad_request"

    def __init__(self, detail: str, **extra: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.extra = extra


class Malformed(DomainError):
    """The request cannot even be read: it is no JSON, no form, no picture."""

    status = 400
    code = "malformed"


class Invalid(DomainError):
    """The request is understood and wrong: mend it before sending it again."""

    status = 422
    code = "invalid"


class NotFound(DomainError):
    """There is no such thing, or none within the caller's scope."""

    status = 404
    code = "not_found"


class Forbidden(DomainError):
    """The caller is known and may not do this."""

    status = 403
    code = "forbidden"


class Unauthenticated(DomainError):
    """The caller did not prove who it is."""

    status = 401
    code = "unauthenticated"


class MethodNotAllowed(DomainError):
    """The address is right, the verb is not; ``extra`` names those that are."""

    status = 405
    code = "method_not_allowed"


class Conflict(DomainError):
    """The request was right for a state that is past."""

    status = 409
    code = "conflict"


class Gone(DomainError):
    """What the request speaks of has ended and never comes back."""

    status = 410
    code = "gone"


class UnsupportedType(DomainError):
    """The body is of a kind that this address does not take."""

    status = 415
    code = "unsupported_type"


class TooLarge(DomainError):
    """More bytes than the limit allows; ``extra`` names the limit."""

    status = 413
    code = "too_large"


class TooMany(DomainError):
    """The caller asks too often; wait and try again."""

    status = 429
    code = "too_many"


class Unavailable(DomainError):
    """Not now; the same request may succeed later."""

    status = 503
    code = "unavailable"


class Failed(DomainError):
    """Nobody foresaw this: the fault is the server's, and its log says where."""

    status = 500
    code = "server_error"
