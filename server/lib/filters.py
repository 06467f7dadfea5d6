"""Parameters of lists: those that a list knows, and no others."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.request import Request
from rest_framework.views import APIView

from server.lib.errors import Invalid

_OF_EVERY_LIST = frozenset({"cursor", "page_size", "format"})


class KnownFilters(DjangoFilterBackend):
    """Refuses a parameter that the list does not know: a mistyped one would filter nothing.

    A view names in ``query_parameters`` those that it reads itself.
    """

    def filter_queryset(
        self, request: Request, queryset: QuerySet[Any], view: APIView
    ) -> QuerySet[Any]:
        """Rows that the parameters leave; Invalid names the one that is not known."""
        filterset = self.get_filterset_class(view, queryset)
        known = _OF_EVERY_LIST | set(getattr(view, "query_parameters", ()))
        known |= set(filterset.base_filters if filterset else ())
        if unknown := sorted(set(request.query_params) - known):
            raise Invalid(
                f"There is no parameter {unknown[0][:100]!r} here; there are: "
                f"{', '.join(sorted(known))}."
            )
        rows: QuerySet[Any] = super().filter_queryset(request, queryset, view)
        return rows
