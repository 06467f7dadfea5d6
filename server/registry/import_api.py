"""REST API of imports from the MLflow server that the operator configured."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.generics import ListAPIView, RetrieveAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from server.accounts.actors import actor_of
from server.accounts.models import Role
from server.accounts.permissions import RoledView, at_least
from server.lib.errors import Invalid, NotFound
from server.lib.fields import Body, NameField
from server.lib.pagination import pages_by
from server.registry import selectors, services
from server.registry.mlflow.transport import connect
from server.registry.models import ModelImport, VisionModel
from server.registry.states import ImportState


class ImportSerializer(serializers.ModelSerializer[ModelImport]):
    """An import and how far it is; ``reason`` says why it failed."""

    model = serializers.CharField(source="model.name")
    version = serializers.CharField(source="version_name")
    name = serializers.CharField(source="foreign_name")
    number = serializers.CharField(source="foreign_version")
    share = serializers.FloatField(help_text="Of its bytes, 0 to 1.")

    class Meta:
        model = ModelImport
        fields = [
            "id",
            "model",
            "version",
            "name",
            "number",
            "state",
            "step",
            "bytes_done",
            "bytes_total",
            "share",
            "reason",
            "created_at",
            "created_by",
            "finished_at",
        ]


class NewImport(Body):
    """Which version there, and what it is to be here. The server's address is no field."""

    model = NameField(help_text="The model here.")
    version = NameField(max_length=50, help_text="What the version is called here.")
    name = serializers.CharField(max_length=500, help_text="The registered model in MLflow.")
    number = serializers.CharField(
        max_length=100, help_text="The version's number, or @ and an alias."
    )
    manifest = serializers.CharField(
        max_length=4 * 1024 * 1024, allow_blank=True, default="", help_text="A ModelManifest."
    )
    notes = serializers.CharField(max_length=10_000, allow_blank=True, default="")
    parent = serializers.CharField(  # type: ignore[assignment]  # no attribute of the class
        max_length=200, allow_blank=True, default=""
    )
    trained_on = serializers.CharField(max_length=200, allow_blank=True, default="")
    with_aliases = serializers.BooleanField(
        default=False, help_text="Take its aliases along, where they name no version here."
    )


class ImportFilter(filters.FilterSet):
    """By model and state."""

    model = filters.CharFilter(field_name="model__name")
    state = filters.ChoiceFilter(choices=ImportState.choices)

    class Meta:
        model = ModelImport
        fields: list[str] = []


@extend_schema(tags=["models"])
class ImportList(RoledView, ListAPIView[ModelImport]):
    """Imports, the newest first; ask for one."""

    serializer_class = ImportSerializer
    filterset_class = ImportFilter
    pagination_class = pages_by("-created_at", "-pk")
    write_role = Role.RELEASER

    def get_queryset(self) -> QuerySet[ModelImport]:
        """Models belong to no site, and neither do their imports."""
        return selectors.imports()

    @extend_schema(request=NewImport, responses={202: ImportSerializer})
    def post(self, request: Request) -> Response:
        """Import a version in the background; the answer has the row to look at."""
        form = NewImport(data=request.data)
        form.is_valid(raise_exception=True)
        told: dict[str, Any] = form.validated_data
        connect()  # says at once where no server is configured
        row = services.request_import(
            model=_model(told.pop("model")),
            version=told.pop("version"),
            foreign_name=told.pop("name"),
            foreign_version=told.pop("number"),
            actor=actor_of(request),
            wanted=told,
        )
        return Response(ImportSerializer(row).data, status.HTTP_202_ACCEPTED)


@extend_schema(tags=["models"])
class ImportDetail(RetrieveAPIView[ModelImport]):
    """One import, with its progress."""

    serializer_class = ImportSerializer
    permission_classes = [at_least(Role.VIEWER)]

    def get_object(self) -> ModelImport:
        """By its id."""
        row = selectors.imports().filter(pk=self.kwargs["import_id"]).first()
        if row is None:
            raise NotFound("There is no such import.")
        return row


def _model(name: str) -> VisionModel:
    """What a body names wrongly is 422, not 404."""
    try:
        return selectors.model(name)
    except NotFound as error:
        raise Invalid(error.detail) from None
