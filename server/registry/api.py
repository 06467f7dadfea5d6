"""REST API of models and releases."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.http import FileResponse
from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.generics import ListAPIView, RetrieveAPIView
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.accounts.actors import actor_of
from server.accounts.models import Role
from server.accounts.permissions import at_least
from server.datasets.selectors import dataset_version
from server.lib import blobs
from server.lib.errors import Invalid, NotFound
from server.lib.uploads import UploadView
from server.registry import selectors, services
from server.registry.models import ModelVersion, Release, VisionModel
from server.registry.serializers import (
    ModelSerializer,
    NewModel,
    NewRelease,
    ReleaseSerializer,
    VersionDetail,
    VersionSerializer,
    VersionUpload,
)
from server.registry.services.lineage import METRIC_NAME


class VersionFilter(filters.FilterSet):
    """By alias, by descent, and by a figure: ``?metric=mean_iou&at_least=0.9``."""

    alias = filters.CharFilter(field_name="aliases__name")
    trained_on = filters.CharFilter(method="by_training_set")
    metric = filters.CharFilter(method="by_metric")
    at_least = filters.NumberFilter(method="by_metric")

    class Meta:
        model = ModelVersion
        fields: list[str] = []

    def by_training_set(self, rows: QuerySet[ModelVersion], _: str, told: str) -> Any:
        """As ``name/version``."""
        name, _slash, version = told.partition("/")
        return rows.filter(trained_on__name=name, trained_on__version=version)

    def by_metric(self, rows: QuerySet[ModelVersion], _: str, told: Any) -> Any:
        """Both words at once, whichever of them came first."""
        name = self.data.get("metric", "")
        if not METRIC_NAME.fullmatch(name):
            raise Invalid("Name the metric that is meant: ?metric=mean_iou&at_least=0.9.")
        return selectors.with_metric(rows, name, float(told) if _is_number(told) else None)


class ReleasersWrite(APIView):
    """Everybody may look; who releases may write. Models and releases belong to no site."""

    def get_permissions(self) -> list[BasePermission]:
        """By the method."""
        return [at_least(Role.RELEASER if self.request.method == "POST" else Role.VIEWER)()]


@extend_schema(tags=["models"])
class ModelList(ReleasersWrite, ListAPIView[VisionModel]):
    """All models; add one."""

    serializer_class = ModelSerializer
    filterset_fields = ["task"]

    def get_queryset(self) -> QuerySet[VisionModel]:
        """Models with their sets."""
        return selectors.models()

    @extend_schema(request=NewModel, responses={201: ModelSerializer})
    def post(self, request: Request) -> Response:
        """Add a model with the sets that judge and calibrate it."""
        form = NewModel(data=request.data)
        form.is_valid(raise_exception=True)
        fields = form.validated_data
        for purpose in ("golden", "calibration"):
            fields[purpose] = _dataset(fields[purpose])
        model = services.create_model(**fields, actor=actor_of(request))
        return Response(ModelSerializer(model).data, status.HTTP_201_CREATED)


@extend_schema(tags=["models"])
class ModelDetail(RetrieveAPIView[VisionModel]):
    """One model."""

    serializer_class = ModelSerializer
    permission_classes = [at_least(Role.VIEWER)]

    def get_object(self) -> VisionModel:
        """By name."""
        return selectors.model(self.kwargs["name"])


@extend_schema(tags=["models"])
class VersionList(ReleasersWrite, UploadView, ListAPIView[ModelVersion]):
    """Versions of a model; upload one."""

    serializer_class = VersionSerializer
    filterset_class = VersionFilter
    max_file_bytes = settings.ENV.max_model_bytes

    def get_queryset(self) -> QuerySet[ModelVersion]:
        """Versions of the model in the address."""
        if getattr(self, "swagger_fake_view", False):
            return ModelVersion.objects.none()
        return selectors.versions(self.kwargs["name"])

    @extend_schema(request={"multipart/form-data": VersionUpload}, responses={201: VersionDetail})
    def post(self, request: Request, name: str) -> Response:
        """Upload an ONNX with its manifest; it is inspected before it is stored."""
        form = VersionUpload(data=request.data)
        form.is_valid(raise_exception=True)
        fields = form.validated_data
        version = services.upload_version(
            model=selectors.model(name),
            chunks=fields.pop("file").chunks(),
            max_bytes=self.max_file_bytes,
            actor=actor_of(request),
            **fields,
        )
        return Response(VersionDetail(version).data, status.HTTP_201_CREATED)


@extend_schema(tags=["models"])
class VersionView(RetrieveAPIView[ModelVersion]):
    """One version, with its builds."""

    serializer_class = VersionDetail
    permission_classes = [at_least(Role.VIEWER)]

    def get_object(self) -> ModelVersion:
        """By the model's name and the version."""
        return selectors.model_version(self.kwargs["name"], self.kwargs["version"])


@extend_schema(tags=["models"])
class VersionFile(APIView):
    """The ONNX file of a version."""

    permission_classes = [at_least(Role.VIEWER)]

    @extend_schema(responses={(200, "application/octet-stream"): OpenApiTypes.BINARY})
    def get(self, request: Request, name: str, version: str) -> FileResponse:  # noqa: ARG002
        """Download the file as it was uploaded."""
        row = selectors.model_version(name, version)
        response = FileResponse(
            blobs.open_blob(row.sha256), as_attachment=True, filename=f"{name}-{version}.onnx"
        )
        response["ETag"] = f'"{row.sha256}"'
        return response


@extend_schema(tags=["releases"])
class ReleaseList(ReleasersWrite, ListAPIView[Release]):
    """All releases; make one."""

    serializer_class = ReleaseSerializer
    filterset_fields = ["name"]

    def get_queryset(self) -> QuerySet[Release]:
        """Releases with what they pin."""
        return selectors.releases()

    @extend_schema(request=NewRelease, responses={201: ReleaseSerializer})
    def post(self, request: Request) -> Response:
        """Pin a pipeline and one version of each of its models."""
        form = NewRelease(data=request.data)
        form.is_valid(raise_exception=True)
        wanted = form.validated_data
        golden = wanted.pop("golden", None) or {}
        release = services.create_release(
            **wanted,
            golden=_dataset(golden) if golden else None,
            golden_mm_per_px=golden.get("mm_per_px"),
            actor=actor_of(request),
        )
        return Response(ReleaseSerializer(release).data, status.HTTP_201_CREATED)


@extend_schema(tags=["releases"])
class ReleaseDetail(RetrieveAPIView[Release]):
    """One release."""

    serializer_class = ReleaseSerializer
    permission_classes = [at_least(Role.VIEWER)]

    def get_object(self) -> Release:
        """By name."""
        return selectors.release(self.kwargs["name"])


def _is_number(told: Any) -> bool:
    return isinstance(told, Decimal)


def _dataset(ref: dict[str, str]) -> Any:
    """A dataset that a body names: wrong in a body is 422, not 404."""
    try:
        return dataset_version(ref["name"], ref["version"])
    except NotFound as error:
        raise Invalid(error.detail) from None
