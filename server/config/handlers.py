"""Answers to addresses that lead nowhere: a problem document for programs, a page for people."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponseBase
from django.views import defaults

from server.lib.errors import NotFound
from server.lib.problem import problem_response

FOR_PROGRAMS = ("/api/", "/device/")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Django's ``handler404``."""
    if request.path.startswith(FOR_PROGRAMS):
        return problem_response(NotFound("There is nothing at this address."))
    return defaults.page_not_found(request, exception)
