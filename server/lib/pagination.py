"""Pages that cost the same at ten rows and at ten million."""

from __future__ import annotations

from rest_framework.pagination import CursorPagination


class CursorPages(CursorPagination):
    """Newest first, by primary key unless a view says otherwise."""

    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 500
    ordering: str | tuple[str, ...] = "-pk"


def pages_by(*fields: str) -> type[CursorPages]:
    """Pages in the order of these fields of the row itself; the last one should be unique."""
    return type("PagesBy" + "And".join(fields), (CursorPages,), {"ordering": fields})
