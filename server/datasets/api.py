"""REST API of datasets."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.generics import ListAPIView, RetrieveAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from server.accounts.actors import actor_of
from server.accounts.models import Role
from server.accounts.permissions import at_least
from server.datasets import selectors, services
from server.datasets.models import DatasetVersion, Purpose
from server.lib.fields import Body, NameField
from server.lib.uploads import UploadView


class DatasetSerializer(serializers.ModelSerializer[DatasetVersion]):
    """A dataset as the API shows it."""

    class Meta:
        model = DatasetVersion
        fields = [
            "name",
            "version",
            "purpose",
            "sha256",
            "image_count",
            "length",
            "notes",
            "created_at",
            "created_by",
        ]


class DatasetUpload(Body):
    """The form of an upload."""

    name = NameField()
    version = NameField(max_length=50)
    purpose = serializers.ChoiceField(choices=Purpose.choices)
    notes = serializers.CharField(max_length=10_000, allow_blank=True, default="")
    file = serializers.FileField(help_text="A zip with labels.jsonl and the images that it names.")


@extend_schema(tags=["datasets"])
class DatasetList(UploadView, ListAPIView[DatasetVersion]):
    """All datasets; upload one."""

    serializer_class = DatasetSerializer
    filterset_fields = ["name", "purpose"]
    max_file_bytes = settings.ENV.max_dataset_bytes

    def get_queryset(self) -> QuerySet[DatasetVersion]:
        """Datasets belong to no site: every role sees them."""
        return selectors.datasets()

    def get_permissions(self) -> list[Any]:
        """Golden sets judge what is released, so uploading is for those who release."""
        return [at_least(Role.RELEASER if self.request.method == "POST" else Role.VIEWER)()]

    @extend_schema(
        request={"multipart/form-data": DatasetUpload}, responses={201: DatasetSerializer}
    )
    def post(self, request: Request) -> Response:
        """Upload a zip of the folder format."""
        form = DatasetUpload(data=request.data)
        form.is_valid(raise_exception=True)
        dataset = services.upload_dataset(
            **form.validated_data, max_bytes=self.max_file_bytes, actor=actor_of(request)
        )
        return Response(DatasetSerializer(dataset).data, status.HTTP_201_CREATED)


@extend_schema(tags=["datasets"])
class DatasetDetail(RetrieveAPIView[DatasetVersion]):
    """One version of a dataset."""

    serializer_class = DatasetSerializer
    permission_classes = [at_least(Role.VIEWER)]

    def get_object(self) -> DatasetVersion:
        """By name and version."""
        return selectors.dataset_version(self.kwargs["name"], self.kwargs["version"])
