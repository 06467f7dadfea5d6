"""Hardware profiles over the API: seeded ones, one's own, and those that devices ask for."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from inference_core.contract.device import DeviceFacts
from server.accounts.actors import actor_of
from server.accounts.models import Role
from server.accounts.permissions import RoledView
from server.accounts.scope import site_names
from server.fleet import profile_services as services
from server.fleet import selectors
from server.fleet.filters import HardwareProfileFilter
from server.fleet.models import HardwareProfile, ProfileProposal
from server.fleet.profiles import match_profiles
from server.fleet.proposals import NewProfile
from server.fleet.requests import NewDeviceProfile
from server.fleet.serializers import (
    DeviceDetailSerializer,
    HardwareProfileSerializer,
    MatchSerializer,
    ProfileProposalSerializer,
)
from server.lib.errors import Forbidden, Invalid, NotFound
from server.lib.messages import read_data
from server.lib.pagination import pages_by


def _require_admin_everywhere(request: Request) -> None:
    """Profiles belong to no site: what is built under one may run anywhere."""
    if site_names(request.user, Role.ADMIN) is not None:
        raise Forbidden("A hardware profile is decided by an admin of all sites.")


def shown_profile(request: Request, name: str) -> dict[str, object]:
    """A profile as its views answer; NotFound where there is none."""
    row = selectors.profiles_counted(request.user).filter(name=name).first()
    if row is None:
        raise NotFound(f"There is no hardware profile {name!r}.")
    return HardwareProfileSerializer(row).data


class ProfilesView(RoledView, ListAPIView):
    """``hardware-profiles``."""

    serializer_class = HardwareProfileSerializer
    filterset_class = HardwareProfileFilter
    pagination_class = pages_by("name")

    def get_queryset(self) -> QuerySet[HardwareProfile]:
        """All profiles; of their devices only those in scope are counted."""
        return selectors.profiles_counted(self.request.user)

    @extend_schema(request=NewProfile, responses={201: HardwareProfileSerializer})
    def post(self, request: Request) -> Response:
        """Make a profile of your own."""
        _require_admin_everywhere(request)
        profile = read_data(NewProfile, request.data)
        row = services.create_profile(profile=profile, actor=actor_of(request))
        return Response(shown_profile(request, row.name), 201)


class ProfileView(RoledView):
    """``hardware-profiles/{name}``."""

    @extend_schema(responses=HardwareProfileSerializer)
    def get(self, request: Request, name: str) -> Response:
        """One profile."""
        return Response(shown_profile(request, name))

    @extend_schema(request=NewProfile, responses=HardwareProfileSerializer)
    def put(self, request: Request, name: str) -> Response:
        """Replace a profile of your own; 409 where artifacts were built by its recipe."""
        _require_admin_everywhere(request)
        services.change_profile(
            profile=selectors.profile_named(name),
            to=read_data(NewProfile, request.data),
            actor=actor_of(request),
        )
        return Response(shown_profile(request, name))

    @extend_schema(responses={204: None})
    def delete(self, request: Request, name: str) -> Response:
        """Remove a profile of your own that nothing uses."""
        _require_admin_everywhere(request)
        services.delete_profile(profile=selectors.profile_named(name), actor=actor_of(request))
        return Response(status=204)


class ProposalsView(RoledView, ListAPIView):
    """``profile-proposals``: what boxes asked for that no profile fitted."""

    serializer_class = ProfileProposalSerializer
    pagination_class = pages_by("name")
    queryset = ProfileProposal.objects.all()


class AcceptProposalView(RoledView):
    """``profile-proposals/{name}/accept``."""

    @extend_schema(request=None, responses={201: HardwareProfileSerializer})
    def post(self, request: Request, name: str) -> Response:
        """Make the proposed profile; the box finds it when it enrols again."""
        _require_admin_everywhere(request)
        row = services.accept_proposal(name=name, actor=actor_of(request))
        return Response(shown_profile(request, row.name), 201)


class DismissProposalView(RoledView):
    """``profile-proposals/{name}/dismiss``."""

    @extend_schema(request=None, responses={204: None})
    def post(self, request: Request, name: str) -> Response:
        """Forget it."""
        _require_admin_everywhere(request)
        services.dismiss_proposal(name=name, actor=actor_of(request))
        return Response(status=204)


class DeviceProfileView(RoledView):
    """``devices/{id}/profile``."""

    @extend_schema(responses=MatchSerializer)
    def get(self, request: Request, device_id: UUID) -> Response:
        """Which profiles suit it by its facts, and what it lacks for those that nearly do."""
        device = selectors.device_for(request.user, device_id)
        match = match_profiles(DeviceFacts.model_validate(device.facts))
        return Response(MatchSerializer(match).data)

    @extend_schema(request=NewDeviceProfile, responses=DeviceDetailSerializer)
    def put(self, request: Request, device_id: UUID) -> Response:
        """Say what a device is; the box learns it when it enrols again with its key."""
        name = read_data(NewDeviceProfile, request.data).profile
        device = selectors.device_for(request.user, device_id, Role.ADMIN)
        try:
            profile = selectors.profile_named(name)
        except NotFound as error:
            raise Invalid(error.detail) from None
        services.assign_profile(device=device, profile=profile, actor=actor_of(request))
        return Response(DeviceDetailSerializer(selectors.device_for(request.user, device_id)).data)
