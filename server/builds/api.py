"""REST API of builds, and the preflight of releases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

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
from server.builds.models import Build, Builder
from server.builds.serializers import (
    BuildDetailSerializer,
    BuilderSerializer,
    BuildSerializer,
    NewBuild,
    PreflightSerializer,
    ReasonSerializer,
    RequestedSerializer,
)
from server.builds.standing import warnings_for
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

    @extend_schema(request=NewBuild, responses={201: RequestedSerializer, 200: RequestedSerializer})
    def post(self, request: Request) -> Response:
        """Ask for a build; 200 with the one that there is, 201 with a new one.

        After one that failed or was refused there is a new one with ``again`` and a reason.
        """
        form = NewBuild(data=request.data)
        form.is_valid(raise_exception=True)
        wanted = form.validated_data
        found = services.request_build(
            version=_version(wanted["model"], wanted["version"]),
            profile=_profile(wanted["profile"]),
            actor=actor_of(request),
            again=wanted["again"],
            reason=wanted["reason"],
        )
        shown = RequestedSerializer(found.build, context={"note": found.note})
        code = status.HTTP_201_CREATED if found.is_new else status.HTTP_200_OK
        return Response(shown.data, code)


@extend_schema(tags=["builds"])
class BuildDetail(RetrieveAPIView[Build]):
    """One build with its candidates, log and artifact."""

    serializer_class = BuildDetailSerializer
    permission_classes = [at_least(Role.VIEWER)]

    def get_object(self) -> Build:
        """By its number."""
        return selectors.build(self.kwargs["build_id"])


@extend_schema(tags=["builds"])
class CancelBuild(APIView):
    """Ends a build that nobody wants any more."""

    permission_classes = [at_least(Role.RELEASER)]

    @extend_schema(request=ReasonSerializer, responses=BuildSerializer)
    def post(self, request: Request, build_id: int) -> Response:
        """One that waits fails at once; the child of one that is worked on is killed. 409 later."""
        form = ReasonSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        build = services.cancel_build(
            build_id=selectors.build(build_id).pk,
            actor=actor_of(request),
            reason=form.validated_data["reason"],
        )
        return Response(BuildSerializer(build).data)


@extend_schema(tags=["builds"])
class BuilderList(ListAPIView[Builder]):
    """Workers that take builds, a row for each queue."""

    serializer_class = BuilderSerializer
    permission_classes = [at_least(Role.VIEWER)]

    def get_queryset(self) -> QuerySet[Builder]:
        """Builders belong to no site."""
        return selectors.builders()


class _Judgement(APIView):
    """A person's word on what a device built; releasers have it."""

    permission_classes = [at_least(Role.RELEASER)]

    judge: ClassVar[Callable[..., Any]]
    """The service that takes the word."""

    @extend_schema(request=ReasonSerializer, responses=BuildDetailSerializer, tags=["builds"])
    def post(self, request: Request, build_id: int) -> Response:
        """The reason goes into the audit log; 409 where nothing waits."""
        form = ReasonSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        build = selectors.build(build_id)
        type(self).judge(build=build, reason=form.validated_data["reason"], actor=actor_of(request))
        return Response(BuildDetailSerializer(selectors.build(build_id)).data)


class ApproveArtifact(_Judgement):
    """Let an artifact that a device built be signed: this very one, and no other."""

    judge = staticmethod(services.approve_artifact)


class RejectArtifact(_Judgement):
    """Never sign an artifact that a device built; another build may be asked for."""

    judge = staticmethod(services.reject_artifact)


@extend_schema(tags=["releases"])
class Preflight(APIView):
    """What keeps a group from running a release."""

    permission_classes = [at_least(Role.VIEWER)]

    @extend_schema(
        parameters=[OpenApiParameter("group", str, required=True)],
        responses=PreflightSerializer,
    )
    def get(self, request: Request, name: str) -> Response:
        """Every device of the group in the caller's scope that lacks something, and why.

        ``warnings`` keep nobody from anything: they tell of artifacts that were certified under
        other limits than those of today.
        """
        row = release(name)
        group = group_named(request.query_params.get("group", ""))
        devices = list(devices_for(request.user).filter(groups=group))
        answer = {
            "release": row.name,
            "group": group.name,
            "devices": len(devices),
            "missing": selectors.missing_artifacts(row, devices),
            "warnings": warnings_for(row, {device.profile for device in devices}),
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
