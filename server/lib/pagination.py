"""Pages that cost the same at ten rows and at ten million."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.views import APIView

from server.lib.errors import Invalid


class CursorPages(CursorPagination):
    """Newest first, by primary key unless a view says otherwise."""

    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 500
    ordering: str | tuple[str, ...] = "-pk"

    def paginate_queryset(
        self, queryset: QuerySet[Any] | Sequence[Any], request: Request, view: APIView | None = None
    ) -> list[Any] | None:
        """One page. Invalid for a cursor that no answer of ours had: its place is no value here."""
        try:
            return super().paginate_queryset(queryset, request, view)
        except (ValueError, ValidationError):
            if self.cursor_query_param not in request.query_params:
                raise
            raise Invalid("The cursor is none of this list; begin without one.") from None

    def get_page_size(self, request: Request) -> int | None:
        """As asked for, 500 at most; Invalid for what is no number from 1 up."""
        told = request.query_params.get(self.page_size_query_param, "1")
        if not (told.isascii() and told.isdecimal() and len(told) < 10 and int(told) > 0):
            raise Invalid(f"page_size is a number from 1 to {self.max_page_size}.")
        return super().get_page_size(request)


def pages_by(*fields: str) -> type[CursorPages]:
    """Pages in the order of these fields of the row itself; the last one should be unique."""
    return type("PagesBy" + "And".join(fields), (CursorPages,), {"ordering": fields})
