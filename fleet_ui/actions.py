"""What a page does after a service was called: say how it went."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.contrib import messages
from django.http import HttpRequest

from server.lib.errors import DomainError, Forbidden, NotFound


@contextmanager
def told(request: HttpRequest, done: str) -> Iterator[None]:
    """Show ``done`` on the next page, or the sentence of the error that a service raised."""
    try:
        yield
    except (NotFound, Forbidden):
        raise
    except DomainError as error:
        messages.error(request, error.detail)
    else:
        messages.success(request, done)
