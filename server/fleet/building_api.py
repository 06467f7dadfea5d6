"""REST API of where a profile is built."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from pydantic import Field
from rest_framework.request import Request
from rest_framework.response import Response

from inference_core.contract.base import Document
from server.accounts.actors import actor_of
from server.accounts.models import Role
from server.accounts.permissions import RoledView
from server.accounts.scope import site_names
from server.fleet import building
from server.fleet.models import BuiltOn
from server.fleet.profile_api import shown_profile
from server.fleet.selectors import profile_named
from server.fleet.serializers import HardwareProfileSerializer
from server.lib.errors import Forbidden
from server.lib.messages import read_data


class Building(Document):
    """``PUT hardware-profiles/{name}/building``: the reason goes into the audit log."""

    built_on: BuiltOn
    needs_approval: bool = True
    reason: str = Field(min_length=1, max_length=2000)


class BuildingView(RoledView):
    """``hardware-profiles/{name}/building``: written by admins of all sites."""

    @extend_schema(request=Building, responses=HardwareProfileSerializer)
    def put(self, request: Request, name: str) -> Response:
        """Let workers or the profile's own devices build for it."""
        body = read_data(Building, request.data)
        if site_names(request.user, Role.ADMIN) is not None:
            raise Forbidden("Where a profile is built is decided by an admin of all sites.")
        profile = profile_named(name)
        building.set_building(
            profile=profile,
            built_on=body.built_on,
            needs_approval=body.needs_approval,
            reason=body.reason,
            actor=actor_of(request),
        )
        return Response(shown_profile(request, name))
