"""RFC 9457 problem documents: every error of every door has this one shape."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import wraps
from http import HTTPStatus
from typing import Any

from django.core.exceptions import (
    BadRequest,
    DisallowedHost,
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
    TooManyFieldsSent,
    TooManyFilesSent,
)
from django.db import DataError, InterfaceError, OperationalError
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    JsonResponse,
    UnreadablePostError,
)
from django.http.multipartparser import MultiPartParserError
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler, set_rollback

from server.lib.errors import (
    DomainError,
    Forbidden,
    Invalid,
    Malformed,
    MethodNotAllowed,
    NotFound,
    TooLarge,
    TooMany,
    Unauthenticated,
    Unavailable,
)

PROBLEM_JSON = "application/problem+json"
RETRY_AFTER_S = 5
logger = logging.getLogger(__name__)


def problem_body(
    status: int, code: str, detail: str, extra: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Members of a problem document. ``code`` is stable, ``detail`` is for a person.

    ``extra`` goes beside the fixed members, never in their place.
    """
    fixed = {"type": "about:blank", "title": _phrase(status), "status": status}
    return {**(extra or {}), **fixed, "code": code, "detail": detail}


def _phrase(status: int) -> str:
    """Protocols above HTTP have statuses that HTTP does not know."""
    return HTTPStatus(status).phrase if status in set(HTTPStatus) else "Refused"


def problem_response(error: DomainError) -> HttpResponse:
    """The answer of a plain Django view to ``error``."""
    return JsonResponse(
        problem_body(error.status, error.code, error.detail, error.extra),
        status=error.status,
        content_type=PROBLEM_JSON,
        headers=headers_of(error),
    )


def answers_problems(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Decorate a plain view, so that what it raises becomes a problem document."""

    @wraps(view)
    def answer(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        try:
            return view(request, *args, **kwargs)
        except Exception as error:
            known = as_domain_error(error)
            if known is None:
                raise
            return problem_response(known)

    return answer


def handle_exception(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler. None leaves what nobody foresaw to Django: a 500, and logged."""
    known = as_domain_error(error)
    if known is not None:
        set_rollback()
        body = problem_body(known.status, known.code, known.detail, known.extra)
        headers = headers_of(known)
        return Response(body, known.status, headers=headers, content_type=PROBLEM_JSON)
    response = exception_handler(error, context)
    if response is not None and isinstance(error, exceptions.APIException):
        status, body = _of_framework(error)
        response.status_code, response.data = status, body
        response.content_type = PROBLEM_JSON
    return response


_IN_OUR_WORDS: tuple[tuple[type[Exception], Callable[[Exception], DomainError]], ...] = (
    (RequestDataTooBig, lambda _: TooLarge("The request is larger than the server takes.")),
    (TooManyFilesSent, lambda _: TooLarge("The request has more files than the server takes.")),
    (TooManyFieldsSent, lambda _: TooLarge("The request has more fields than the server takes.")),
    (DisallowedHost, lambda _: Malformed("The server does not go by the name in Host.")),
    (MultiPartParserError, lambda error: Malformed(f"The form cannot be read: {error}")),
    (SuspiciousOperation, lambda _: Malformed("The request cannot be what it says it is.")),
    (BadRequest, lambda _: Malformed("The request cannot be read.")),
    (Http404, lambda error: NotFound(str(error) or "There is no such thing.")),
    (PermissionDenied, lambda error: Forbidden(str(error) or "You may not do this.")),
    (UnreadablePostError, lambda _: Unavailable("The body arrived cut short; send it again.")),
    # What no check foresaw: a number of a hundred digits, a moment after the end of time.
    (DataError, lambda _: Invalid("A value is longer or larger than can be stored.")),
    (OverflowError, lambda _: Invalid("A value is longer or larger than can be stored.")),
    # A database that restarts, or a lock that did not come in time.
    (OperationalError, lambda _: Unavailable("The database is not available; try again shortly.")),
    (InterfaceError, lambda _: Unavailable("The database is not available; try again shortly.")),
)


def as_domain_error(error: Exception) -> DomainError | None:
    """``error`` in our own words, or None where nobody foresaw it."""
    if isinstance(error, DomainError):
        return error
    for kind, translate in _IN_OUR_WORDS:
        if isinstance(error, kind):
            known = translate(error)
            if not isinstance(error, (Http404, PermissionDenied)):
                logger.warning("answered %d to %s: %s", known.status, type(error).__name__, error)
            return known
    return None


def _of_framework(error: exceptions.APIException) -> tuple[int, dict[str, Any]]:
    """Status and body of DRF's own errors; a body of wrong fields is 422, as in services."""
    if isinstance(error, exceptions.ValidationError):
        detail = "Some fields are wrong; `errors` names them."
        return 422, problem_body(422, "invalid", detail, {"errors": error.get_full_details()})
    codes = error.get_codes()
    code = codes if isinstance(codes, str) else error.default_code
    return error.status_code, problem_body(error.status_code, code, str(error.detail))


def headers_of(error: DomainError) -> dict[str, str]:
    """What an answer with ``error`` says beside its body."""
    if isinstance(error, Unavailable):
        return {"Retry-After": str(error.extra.get("retry_after_s", RETRY_AFTER_S))}
    if isinstance(error, TooMany):
        return {"Retry-After": str(error.extra.get("retry_after_s", 60))}
    if isinstance(error, MethodNotAllowed):
        return {"Allow": error.extra["allow"]}
    if isinstance(error, Unauthenticated):
        return {"WWW-Authenticate": 'Bearer realm="linewarden"'}
    return {}
