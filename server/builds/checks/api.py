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
from server.builds.checks.serializers import CheckSerializer, NewCheck, Waiver
from server.builds.checks.waiving import waive_check
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


@extend_schema(tags=["releases"])
class WaiveCheck(APIView):
    """A person answers for a release whose golden cases nobody can judge."""

    permission_classes = [at_least(Role.RELEASER)]

    @extend_schema(request=Waiver, responses={201: CheckSerializer})
    def post(self, request: Request, name: str) -> Response:
        """Signed without a PipelineCertificate, with the reason in the audit log; 409 elsewhere."""
        form = Waiver(data=request.data)
        form.is_valid(raise_exception=True)
        check = waive_check(
            release=release(name),
            profile=_profile(form.validated_data["profile"]),
            reason=form.validated_data["reason"],
            actor=actor_of(request),
        )
        return Response(CheckSerializer(check).data, status.HTTP_201_CREATED)


def _profile(name: str) -> HardwareProfile:
    profile = HardwareProfile.objects.filter(name=name).first()
    if profile is None:
        raise Invalid(f"There is no hardware profile {name!r}.")
    return profile
