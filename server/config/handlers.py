"""Answers to what no view answered: a problem document for programs, a page for people."""

from __future__ import annotations

import sys

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.template import loader
from django.views import defaults

from server.lib.errors import DomainError, Failed, Malformed, NotFound, Unavailable
from server.lib.problem import as_domain_error, headers_of, problem_response

FOR_PROGRAMS = ("/api/", "/device/")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Django's ``handler400``, also for what is too large."""
    return refuse(request, as_domain_error(exception) or Malformed("The request cannot be read."))


def not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Django's ``handler404``."""
    if request.path.startswith(FOR_PROGRAMS):
        return problem_response(NotFound("There is nothing at this address."))
    return defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponseBase:
    """Django's ``handler500``: a database that restarts is no fault, and nobody's for long."""
    error = sys.exc_info()[1]
    known = as_domain_error(error) if isinstance(error, Exception) else None
    if isinstance(known, Unavailable):
        return refuse(request, known)
    if request.path.startswith(FOR_PROGRAMS):
        return problem_response(Failed("The server failed; an admin finds why in its log."))
    return defaults.server_error(request)


def refuse(request: HttpRequest, error: DomainError) -> HttpResponse:
    """The answer to a request that got no further."""
    if request.path.startswith(FOR_PROGRAMS):
        return problem_response(error)
    # Without the request: its user and messages would ask the database, or read the body, again.
    name = "503.html" if isinstance(error, Unavailable) else "refused.html"
    page = loader.get_template(name).render({"detail": error.detail})
    return HttpResponse(page, status=error.status, headers=headers_of(error))
