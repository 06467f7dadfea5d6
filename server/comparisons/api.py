"""REST API of comparisons."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.generics import ListAPIView, RetrieveAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from server.accounts.actors import actor_of
from server.accounts.models import Role
from server.accounts.permissions import RoledView
from server.comparisons import selectors, services
from server.comparisons.models import Comparison, PictureRow
from server.comparisons.serializers import ComparisonSerializer, NewComparison, PictureSerializer
from server.datasets.selectors import dataset_version
from server.lib.errors import Invalid, NotFound
from server.registry.selectors import model_version


@extend_schema(tags=["comparisons"])
class ComparisonList(RoledView, ListAPIView[Comparison]):
    """All comparisons; ask for one."""

    serializer_class = ComparisonSerializer
    filterset_fields = ["state"]
    write_role = Role.RELEASER

    def get_queryset(self) -> QuerySet[Comparison]:
        """With versions and datasets."""
        return selectors.comparisons()

    @extend_schema(request=NewComparison, responses={202: ComparisonSerializer})
    def post(self, request: Request) -> Response:
        """Compare two versions on a dataset. The same request is answered with the same one."""
        form = NewComparison(data=request.data)
        form.is_valid(raise_exception=True)
        row = services.request_comparison(**_named(form.validated_data), actor=actor_of(request))
        return Response(ComparisonSerializer(row).data, status.HTTP_202_ACCEPTED)


@extend_schema(tags=["comparisons"])
class ComparisonDetail(RoledView, RetrieveAPIView[Comparison]):
    """One comparison."""

    serializer_class = ComparisonSerializer

    def get_object(self) -> Comparison:
        """By number."""
        return selectors.comparison(self.kwargs["comparison_id"])


@extend_schema(
    tags=["comparisons"],
    parameters=[OpenApiParameter("show", OpenApiTypes.STR, enum=selectors.Show.values)],
)
class PictureList(RoledView, ListAPIView[PictureRow]):
    """The pictures of a comparison, all or those where somebody is wrong."""

    serializer_class = PictureSerializer
    query_parameters = ("show",)

    def get_queryset(self) -> QuerySet[PictureRow]:
        """As ``?show=`` says."""
        if getattr(self, "swagger_fake_view", False):
            return PictureRow.objects.none()
        show = self.request.query_params.get("show", selectors.Show.ALL)
        if show not in selectors.Show.values:
            raise Invalid(f"show is one of: {', '.join(selectors.Show.values)}.")
        return selectors.pictures_of(selectors.comparison(self.kwargs["comparison_id"]), show)


def _named(fields: dict[str, Any]) -> dict[str, Any]:
    """Rows that a body names: wrong in a body is 422, not 404."""
    try:
        named: dict[str, Any] = {
            side: model_version(fields[side]["model"], fields[side]["version"]) for side in "ab"
        }
        ref = fields.get("dataset")
        return {**named, "dataset": ref and dataset_version(ref["name"], ref["version"])}
    except NotFound as error:
        raise Invalid(error.detail) from None
