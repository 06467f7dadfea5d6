"""Answers to what no view answered: a problem document for programs, a page for people."""

from __future__ import annotations

import sys

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.template import loader
from django.views import defaults

from server.lib.errors import NotFound, Unavailable
from server.lib.problem import RETRY_AFTER_S, as_domain_error, problem_response

FOR_PROGRAMS = ("/api/", "/device/")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Django's ``handler404``."""
    if request.path.startswith(FOR_PROGRAMS):
        return problem_response(NotFound("There is nothing at this address."))
    return defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponseBase:
    """Django's ``handler500``: a database that restarts is no fault, and nobody's for long."""
    error = sys.exc_info()[1]
    known = as_domain_error(error) if isinstance(error, Exception) else None
    if not isinstance(known, Unavailable):
        return defaults.server_error(request)
    if request.path.startswith(FOR_PROGRAMS):
        return problem_response(known)
    # Without the request: its user and messages would ask the database again.
    page = loader.get_template("503.html").render({"detail": known.detail})
    return HttpResponse(page, status=503, headers={"Retry-After": str(RETRY_AFTER_S)})
