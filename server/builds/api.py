"""REST API of builds, and the preflight of releases."""

from __future__ import annotations

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.generics import ListAPIView, RetrieveAPIView
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.accounts.actors import actor_of
from server.accounts.models import Role
from server.accounts.permissions import at_least
from server.builds import selectors, services
from server.builds.models import Build
from server.builds.serializers import (
    BuildDetailSerializer,
    BuildSerializer,
    NewBuild,
    PreflightSerializer,
    ReasonSerializer,
)
from server.builds.states import BuildState
from server.fleet.models import HardwareProfile
from server.fleet.selectors import devices_for, group_named
from server.lib.errors import Invalid, NotFound
from server.registry.models import ModelVersion
from server.registry.selectors import model_version, release


class BuildFilter(filters.FilterSet):
    """By state, profile and model."""

    state = filters.ChoiceFilter(choices=BuildState.choices)
    profile = filters.CharFilter(field_name="profile__name")
    model = filters.CharFilter(field_name="version__model__name")
    version = filters.CharFilter(field_name="version__version")

    class Meta:
        model = Build
        fields: list[str] = []


@extend_schema(tags=["builds"])
class BuildList(ListAPIView[Build]):
    """All builds; ask for one."""

    serializer_class = BuildSerializer
    filterset_class = BuildFilter

    def get_permissions(self) -> list[BasePermission]:
        """Everybody may look."""
        return [at_least(Role.RELEASER if self.request.method == "POST" else Role.VIEWER)()]

    def get_queryset(self) -> QuerySet[Build]:
        """Builds belong to no site."""
        return selectors.builds()

    @extend_schema(request=NewBuild, responses={201: BuildSerializer})
    def post(self, request: Request) -> Response:
        """Ask for a build that failed, or for a profile that no device has yet."""
        form = NewBuild(data=request.data)
        form.is_valid(raise_exception=True)
        wanted = form.validated_data
        build = services.queue_build(
            version=_version(wanted["model"], wanted["version"]),
            profile=_profile(wanted["profile"]),
            actor=actor_of(request),
        )
        return Response(BuildSerializer(build).data, status.HTTP_201_CREATED)


@extend_schema(tags=["builds"])
class BuildDetail(RetrieveAPIView[Build]):
    """One build with its candidates, log and artifact."""

    serializer_class = BuildDetailSerializer
    permission_classes = [at_least(Role.VIEWER)]

    def get_object(self) -> Build:
        """By its number."""
        return selectors.build(self.kwargs["build_id"])


class _Judgement(APIView):
    """A person's word on what a device built; releasers have it."""

    permission_classes = [at_least(Role.RELEASER)]

    def judge(self, build: Build, reason: str, actor: str) -> None:
        """Say it."""
        raise NotImplementedError

    @extend_schema(request=ReasonSerializer, responses=BuildDetailSerializer, tags=["builds"])
    def post(self, request: Request, build_id: int) -> Response:
        """The reason goes into the audit log; 409 where nothing waits."""
        form = ReasonSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        build = selectors.build(build_id)
        self.judge(build, form.validated_data["reason"], actor_of(request))
        return Response(BuildDetailSerializer(selectors.build(build_id)).data)


class ApproveArtifact(_Judgement):
    """Let an artifact that a device built be signed."""

    def judge(self, build: Build, reason: str, actor: str) -> None:
        """For this very artifact only."""
        services.approve_artifact(build=build, reason=reason, actor=actor)


class RejectArtifact(_Judgement):
    """Never sign an artifact that a device built."""

    def judge(self, build: Build, reason: str, actor: str) -> None:
        """Another build may be asked for."""
        services.reject_artifact(build=build, reason=reason, actor=actor)


@extend_schema(tags=["releases"])
class Preflight(APIView):
    """What keeps a group from running a release."""

    permission_classes = [at_least(Role.VIEWER)]

    @extend_schema(
        parameters=[OpenApiParameter("group", str, required=True)],
        responses=PreflightSerializer,
    )
    def get(self, request: Request, name: str) -> Response:
        """Every device of the group in the caller's scope that lacks something, and why."""
        row = release(name)
        group = group_named(request.query_params.get("group", ""))
        devices = list(devices_for(request.user).filter(groups=group))
        answer = {
            "release": row.name,
            "group": group.name,
            "devices": len(devices),
            "missing": selectors.missing_artifacts(row, devices),
        }
        return Response(PreflightSerializer(answer).data)


def _version(model: str, version: str) -> ModelVersion:
    """What a body names wrongly is 422, not 404."""
    try:
        return model_version(model, version)
    except NotFound as error:
        raise Invalid(error.detail) from None


def _profile(name: str) -> HardwareProfile:
    profile = HardwareProfile.objects.filter(name=name).first()
    if profile is None:
        raise Invalid(f"There is no hardware profile {name!r}.")
    return profile
