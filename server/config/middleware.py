"""The first thing that a request meets, and the last that an answer passes."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase, HttpResponseNotAllowed

from server.config.handlers import refuse
from server.lib.errors import DomainError, MethodNotAllowed
from server.lib.requests import require_readable

Answer = Callable[[HttpRequest], HttpResponseBase]


def refuse_unreadable(answer: Answer) -> Answer:
    """Refuse what no view could understand; say in words what an empty 405 does not."""

    def respond(request: HttpRequest) -> HttpResponseBase:
        try:
            require_readable(request)
        except DomainError as error:
            return refuse(request, error)
        response = answer(request)
        if isinstance(response, HttpResponseNotAllowed) and not response.content:
            allowed = response["Allow"]
            return refuse(request, MethodNotAllowed(f"Use {allowed} here.", allow=allowed))
        return response

    return respond
