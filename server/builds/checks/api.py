"""REST API of golden pipeline checks."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.accounts.actors import actor_of
from server.accounts.models import Role
from server.accounts.permissions import at_least
from server.builds.checks.approving import approve_check
from server.builds.checks.queueing import queue_check
from server.builds.checks.selectors import checks_of
from server.builds.checks.serializers import CheckSerializer, NewCheck, PersonsWord
from server.builds.checks.waiving import waive_check
from server.builds.models import PipelineCheck
from server.fleet.models import HardwareProfile
from server.lib.errors import Invalid
from server.registry.selectors import release


@extend_schema(tags=["releases"])
class ReleaseChecks(APIView):
    """How a release judged its golden pictures, by hardware profile."""

    def get_permissions(self) -> list[BasePermission]:
        """Everybody may look."""
        return [at_least(Role.RELEASER if self.request.method == "POST" else Role.VIEWER)()]

    @extend_schema(responses=CheckSerializer(many=True))
    def get(self, request: Request, name: str) -> Response:  # noqa: ARG002
        """The check that counts of every profile; releases belong to no site."""
        return Response(CheckSerializer(checks_of(release(name)), many=True).data)

    @extend_schema(request=NewCheck, responses={201: CheckSerializer})
    def post(self, request: Request, name: str) -> Response:
        """Judge again where it could not be found out, or for a profile that no device has yet.

        With a reason also what a device has answered, until the release is signed.
        """
        form = NewCheck(data=request.data)
        form.is_valid(raise_exception=True)
        check = queue_check(
            release=release(name),
            profile=_profile(form.validated_data["profile"]),
            reason=form.validated_data["reason"],
            actor=actor_of(request),
        )
        return Response(CheckSerializer(check).data, status.HTTP_201_CREATED)


class _Word(APIView):
    """A person's word on golden cases; releasers have it."""

    permission_classes = [at_least(Role.RELEASER)]

    take: ClassVar[Callable[..., PipelineCheck]]
    """The service that takes the word."""

    @extend_schema(request=PersonsWord, responses={201: CheckSerializer}, tags=["releases"])
    def post(self, request: Request, name: str) -> Response:
        """The reason goes into the audit log; 409 where there is nothing to say."""
        form = PersonsWord(data=request.data)
        form.is_valid(raise_exception=True)
        check = type(self).take(
            release=release(name),
            profile=_profile(form.validated_data["profile"]),
            reason=form.validated_data["reason"],
            actor=actor_of(request),
        )
        return Response(CheckSerializer(check).data, status.HTTP_201_CREATED)


class WaiveCheck(_Word):
    """Answer for a release whose golden cases nobody can judge: signed without a certificate."""

    take = staticmethod(waive_check)


class ApproveCheck(_Word):
    """Believe a device that judged golden cases: the release is signed for its profile."""

    take = staticmethod(approve_check)


def _profile(name: str) -> HardwareProfile:
    profile = HardwareProfile.objects.filter(name=name).first()
    if profile is None:
        raise Invalid(f"There is no hardware profile {name!r}.")
    return profile
