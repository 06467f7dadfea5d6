"""``/api/v1/shadow-runs``: let a release look on, and read what it would have said."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field
from pydantic import Field
from rest_framework import serializers, status
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from inference_core.contract.base import Document, Slug
from inference_core.contract.device import ShadowLimits
from server.accounts.actors import actor_of
from server.accounts.models import Role
from server.accounts.permissions import RoledView
from server.fleet.selectors import group_for
from server.lib.messages import read_data
from server.lib.pagination import pages_by
from server.registry.selectors import release as release_named
from server.rollouts import services
from server.rollouts.models import ShadowRun
from server.rollouts.selectors.shadows import figures_of_run, shadow_run_for, shadow_runs_for


class NewShadowRun(ShadowLimits, Document):
    """``POST shadow-runs``."""

    group: Slug
    release: Slug


class ShadowStop(Document):
    """``POST shadow-runs/{id}/stop``."""

    reason: str = Field(default="", max_length=2000)


class ShadowFiguresSerializer(serializers.Serializer):
    """Frames that both releases judged, and how often they said the same."""

    release_sha256 = serializers.CharField()
    shadow_sha256 = serializers.CharField()
    pairs = serializers.IntegerField()
    both_pass = serializers.IntegerField()
    both_fail = serializers.IntegerField()
    only_release_fails = serializers.IntegerField()
    only_shadow_fails = serializers.IntegerField()
    skipped = serializers.IntegerField(help_text="Frames that the shadow had no time for.")
    faults = serializers.DictField(child=serializers.IntegerField())
    disagreement_share = serializers.FloatField(allow_null=True)


class ShadowRunSerializer(serializers.ModelSerializer):
    """A run as a line of a list."""

    group = serializers.CharField(source="group.name")
    release = serializers.CharField(source="release.name")

    class Meta:
        model = ShadowRun
        fields: tuple[str, ...] = (
            "id",
            "group",
            "release",
            "share",
            "max_cpu_share",
            "started_at",
            "started_by",
            "ended_at",
        )


class ShadowRunDetailSerializer(ShadowRunSerializer):
    """A run with what it has shown."""

    figures = serializers.SerializerMethodField()

    class Meta(ShadowRunSerializer.Meta):
        fields = (*ShadowRunSerializer.Meta.fields, "figures")

    @extend_schema_field(ShadowFiguresSerializer(many=True))
    def get_figures(self, run: ShadowRun) -> list[dict[str, Any]]:
        """By the release that it stood beside."""
        return list(ShadowFiguresSerializer(figures_of_run(run), many=True).data)


class ShadowRunsView(RoledView, ListAPIView):
    """``shadow-runs``."""

    write_role = Role.RELEASER
    serializer_class = ShadowRunSerializer
    pagination_class = pages_by("-started_at", "-pk")

    def get_queryset(self) -> QuerySet[ShadowRun]:
        """Runs on groups that lie within the caller's sites."""
        return shadow_runs_for(self.request.user)

    @extend_schema(request=NewShadowRun, responses={201: ShadowRunDetailSerializer})
    def post(self, request: Request) -> Response:
        """Start one; devices begin with their next poll."""
        body = read_data(NewShadowRun, request.data)
        run = services.start_shadow(
            group=group_for(request.user, body.group, Role.RELEASER),
            release=release_named(body.release),
            limits=body,
            actor=actor_of(request),
        )
        return Response(ShadowRunDetailSerializer(run).data, status.HTTP_201_CREATED)


class ShadowRunView(RoledView):
    """``shadow-runs/{id}``."""

    @extend_schema(responses=ShadowRunDetailSerializer)
    def get(self, request: Request, run_id: UUID) -> Response:
        """One run."""
        return Response(ShadowRunDetailSerializer(shadow_run_for(request.user, run_id)).data)


class StopShadowRun(RoledView):
    """``shadow-runs/{id}/stop``."""

    write_role = Role.RELEASER

    @extend_schema(request=ShadowStop, responses=ShadowRunDetailSerializer)
    def post(self, request: Request, run_id: UUID) -> Response:
        """End it; what it showed stays."""
        reason = read_data(ShadowStop, request.data).reason
        run = shadow_run_for(request.user, run_id, Role.RELEASER)
        services.stop_shadow(run=run, actor=actor_of(request), reason=reason)
        return Response(ShadowRunDetailSerializer(run).data)
