"""REST API of what ran where, and when."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response

from server.accounts.models import Role
from server.accounts.permissions import at_least
from server.builds import runs
from server.builds.models import Artifact
from server.fleet.models import ReleaseRun
from server.lib.errors import Invalid
from server.registry.models import ModelVersion


class RunPart(serializers.Serializer[Any]):
    """A version that ran, as the artifact of that hardware profile."""

    model = serializers.CharField()
    version = serializers.CharField()
    artifact_sha256 = serializers.CharField(allow_null=True)
    precision = serializers.CharField(allow_null=True)
    runtime = serializers.CharField(allow_null=True)


class RunSerializer(serializers.Serializer[Any]):
    """From the first report of a release to the first report of another.

    An open run has no ``until``. The device last said so at ``heard_until``; what was between that
    and ``until`` nobody knows.
    """

    device = serializers.UUIDField(source="run.device_id")
    serial = serializers.CharField(source="run.device.serial")
    site = serializers.CharField(source="run.device.line.site.name")
    line = serializers.CharField(source="run.device.line.name")
    release = serializers.CharField(
        source="target.release.name", default=None, help_text="null: not signed by this server."
    )
    profile = serializers.CharField(source="target.profile.name", default=None)
    release_sha256 = serializers.CharField(source="run.sha256")
    since = serializers.DateTimeField(source="run.since")
    until = serializers.DateTimeField(source="run.until", allow_null=True)
    heard_until = serializers.DateTimeField(allow_null=True)
    models = serializers.SerializerMethodField()

    @extend_schema_field(RunPart(many=True))
    def get_models(self, view: runs.RunView) -> list[dict[str, Any]]:
        """What the release pins, and the files that it was on that hardware."""
        return [_part(version, artifact) for version, artifact in view.parts]


class RunFilter(filters.FilterSet):
    """By moment, and by what ran or where."""

    at = filters.CharFilter(
        method="at_moment", help_text="A day in UTC, or an instant with its offset."
    )
    device = filters.UUIDFilter(field_name="device_id")
    site = filters.CharFilter(field_name="device__line__site__name")
    line = filters.CharFilter(field_name="device__line__name")
    release = filters.CharFilter(method="by_release")
    model = filters.CharFilter(method="by_model")
    version = filters.CharFilter(method="by_version", help_text="With model.")
    artifact = filters.CharFilter(method="by_artifact", help_text="Its SHA-256.")

    class Meta:
        model = ReleaseRun
        fields: list[str] = []

    def at_moment(self, rows: QuerySet[ReleaseRun], _: str, told: str) -> Any:
        """Runs that it fell into."""
        return runs.at(rows, told)

    def by_release(self, rows: QuerySet[ReleaseRun], _: str, told: str) -> Any:
        """On whatever profile."""
        return runs.of_release(rows, told)

    def by_model(self, rows: QuerySet[ReleaseRun], _: str, told: str) -> Any:
        """Any version of it, or the one that ``version`` names."""
        return runs.of_version(rows, told, self.data.get("version", ""))

    def by_version(self, rows: QuerySet[ReleaseRun], _: str, told: str) -> Any:  # noqa: ARG002
        """Seen to by ``model``, without which a version names nothing."""
        if not self.data.get("model"):
            raise Invalid("Name the model too: ?model=board-defects&version=1.2.0.")
        return rows

    def by_artifact(self, rows: QuerySet[ReleaseRun], _: str, told: str) -> Any:
        """These very bytes."""
        return runs.of_artifact(rows, told)


@extend_schema(tags=["releases"])
class RunList(ListAPIView[ReleaseRun]):
    """What ran where, and when, the newest first."""

    serializer_class = RunSerializer
    filterset_class = RunFilter
    permission_classes: list[type[BasePermission]] = [at_least(Role.VIEWER)]

    def get_queryset(self) -> QuerySet[ReleaseRun]:
        """Runs at sites in scope."""
        return runs.runs_for(self.request.user)

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:  # noqa: ARG002
        """A page of rows, read together."""
        rows = self.paginate_queryset(self.filter_queryset(self.get_queryset())) or []
        return self.get_paginated_response(RunSerializer(runs.read_runs(rows), many=True).data)


def _part(version: ModelVersion, artifact: Artifact | None) -> dict[str, Any]:
    return {
        "model": version.model.name,
        "version": version.version,
        "artifact_sha256": artifact and artifact.sha256,
        "precision": artifact and artifact.precision,
        "runtime": artifact and artifact.runtime,
    }
