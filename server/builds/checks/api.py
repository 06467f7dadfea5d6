"""REST API of golden pipeline checks."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.accounts.actors import actor_of
from server.accounts.models import Role
from server.accounts.permissions import at_least
from server.builds.checks.queueing import queue_check
from server.builds.checks.selectors import checks_of
from server.builds.checks.serializers import CheckSerializer, NewCheck
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
        """Judge again where it could not be found out, or for a profile that no device has yet."""
        form = NewCheck(data=request.data)
        form.is_valid(raise_exception=True)
        check = queue_check(
            release=release(name),
            profile=_profile(form.validated_data["profile"]),
            actor=actor_of(request),
        )
        return Response(CheckSerializer(check).data, status.HTTP_201_CREATED)


def _profile(name: str) -> HardwareProfile:
    profile = HardwareProfile.objects.filter(name=name).first()
    if profile is None:
        raise Invalid(f"There is no hardware profile {name!r}.")
    return profile
