"""Places, groups and enrolment tokens."""

from __future__ import annotations

from uuid import UUID

from django.db.models import Count, Q, QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from server.accounts.actors import actor_of
from server.accounts.models import Role
from server.accounts.permissions import RoledView
from server.accounts.scope import has_role, site_names
from server.fleet import agents, enrolment, selectors, services, windows
from server.fleet.filters import GroupFilter, LineFilter, SiteFilter
from server.fleet.models import AgentRelease, Group, Line, Site
from server.fleet.requests import (
    GroupChanges,
    LineChanges,
    NewEnrolmentToken,
    NewGroup,
    NewLine,
    NewMembers,
    NewSite,
)
from server.fleet.serializers import (
    AgentReleaseSerializer,
    GroupSerializer,
    IssuedTokenSerializer,
    LineSerializer,
    SiteSerializer,
)
from server.lib.errors import Forbidden, NotFound
from server.lib.messages import read_data
from server.lib.pagination import pages_by


class SitesView(RoledView, ListAPIView):
    """``sites``: read within the scope, written by admins of all sites."""

    serializer_class = SiteSerializer
    filterset_class = SiteFilter
    pagination_class = pages_by("name")

    def get_queryset(self) -> QuerySet[Site]:
        """Sites within the caller's scope."""
        return selectors.sites_for(self.request.user)

    @extend_schema(request=NewSite, responses={201: SiteSerializer})
    def post(self, request: Request) -> Response:
        """Make a site."""
        body = read_data(NewSite, request.data)
        if site_names(request.user, Role.ADMIN) is not None:
            raise Forbidden("A site is made by an admin of all sites.")
        site = services.create_site(name=body.name, title=body.title, actor=actor_of(request))
        return Response(SiteSerializer(site).data, 201)


class LinesView(RoledView, ListAPIView):
    """``lines``: read within the scope, written by admins of the site."""

    serializer_class = LineSerializer
    filterset_class = LineFilter
    pagination_class = pages_by("pk")

    def get_queryset(self) -> QuerySet[Line]:
        """Lines within the caller's scope."""
        return selectors.lines_for(self.request.user)

    @extend_schema(request=NewLine, responses={201: LineSerializer})
    def post(self, request: Request) -> Response:
        """Make a line of a site."""
        body = read_data(NewLine, request.data)
        site = selectors.sites_for(request.user, Role.ADMIN).filter(name=body.site).first()
        if site is None:
            raise NotFound(f"There is no site {body.site!r} where you are an admin.")
        line = services.create_line(
            site=site, name=body.name, title=body.title, actor=actor_of(request)
        )
        return Response(LineSerializer(line).data, 201)


class LineView(RoledView):
    """``lines/{site}/{line}``."""

    write_role = Role.OPERATOR

    @extend_schema(responses=LineSerializer)
    def get(self, request: Request, site: str, name: str) -> Response:
        """One line."""
        return Response(LineSerializer(selectors.line_for(request.user, site, name)).data)

    @extend_schema(request=LineChanges, responses=LineSerializer)
    def patch(self, request: Request, site: str, name: str) -> Response:
        """Say when its devices may change their release; they learn it with their next poll."""
        changes = read_data(LineChanges, request.data)
        line = selectors.line_for(request.user, site, name, Role.OPERATOR)
        if "update_window" in changes.model_fields_set:
            windows.set_update_window(
                line=line, window=changes.update_window, actor=actor_of(request)
            )
        return Response(LineSerializer(line).data)


def _groups(request: Request) -> QuerySet[Group]:
    sites = site_names(request.user)
    seen = None if sites is None else Q(devices__line__site__name__in=sites)
    return Group.objects.select_related("agent_release").annotate(
        device_count=Count("devices", filter=seen)
    )


class GroupsView(RoledView, ListAPIView):
    """``groups``."""

    serializer_class = GroupSerializer
    filterset_class = GroupFilter
    pagination_class = pages_by("name")
    write_role = Role.OPERATOR

    def get_queryset(self) -> QuerySet[Group]:
        """All groups; of their devices only those in scope are counted."""
        return _groups(self.request)

    @extend_schema(request=NewGroup, responses={201: GroupSerializer})
    def post(self, request: Request) -> Response:
        """Make an empty group."""
        body = read_data(NewGroup, request.data)
        group = services.create_group(name=body.name, title=body.title, actor=actor_of(request))
        return Response(GroupSerializer(_groups(request).get(pk=group.pk)).data, 201)


class GroupView(RoledView):
    """``groups/{name}``."""

    write_role = Role.RELEASER

    @extend_schema(responses=GroupSerializer)
    def get(self, request: Request, name: str) -> Response:
        """One group."""
        group = selectors.group_named(name)
        return Response(GroupSerializer(_groups(request).get(pk=group.pk)).data)

    @extend_schema(request=GroupChanges, responses=GroupSerializer)
    def patch(self, request: Request, name: str) -> Response:
        """Say which agent its devices run; takes a releaser at every site of the group."""
        changes = read_data(GroupChanges, request.data)
        group = selectors.group_for(request.user, name, Role.RELEASER)
        if "agent_release" in changes.model_fields_set:
            version = changes.agent_release
            release = selectors.agent_release_named(version) if version else None
            agents.set_agent_release(group=group, release=release, actor=actor_of(request))
        return Response(GroupSerializer(_groups(request).get(pk=group.pk)).data)


class AgentReleasesView(RoledView, ListAPIView):
    """``agent-releases``: published on the machine that holds the key, never over the API."""

    serializer_class = AgentReleaseSerializer
    pagination_class = pages_by("-counter")
    queryset = AgentRelease.objects.all()


class GroupDevicesView(RoledView):
    """``groups/{name}/devices``."""

    write_role = Role.OPERATOR

    @extend_schema(request=NewMembers, responses=GroupSerializer)
    def post(self, request: Request, name: str) -> Response:
        """Put devices into a group: all of them, or none where one is not yours."""
        group = selectors.group_named(name)
        wanted = set(read_data(NewMembers, request.data).devices)
        devices = list(selectors.devices_for(request.user, Role.OPERATOR).filter(pk__in=wanted))
        missing = wanted - {device.pk for device in devices}
        if missing:
            raise NotFound(f"There is no device {min(map(str, missing))} in your scope.")
        services.add_to_group(group=group, devices=devices, actor=actor_of(request))
        return Response(GroupSerializer(_groups(request).get(pk=group.pk)).data)


class GroupDeviceView(RoledView):
    """``groups/{name}/devices/{id}``."""

    write_role = Role.OPERATOR

    @extend_schema(responses={204: None})
    def delete(self, request: Request, name: str, device_id: UUID) -> Response:
        """Take a device out of a group."""
        device = selectors.device_for(request.user, device_id, Role.OPERATOR)
        services.remove_from_group(
            group=selectors.group_named(name), device=device, actor=actor_of(request)
        )
        return Response(status=204)


class EnrolmentTokensView(RoledView):
    """``enrolment-tokens``: they can be made and used, never listed."""

    write_role = Role.OPERATOR

    @extend_schema(request=NewEnrolmentToken, responses={201: IssuedTokenSerializer})
    def post(self, request: Request) -> Response:
        """Make a token for a line of yours; pre-authorising takes an admin of the site."""
        body = read_data(NewEnrolmentToken, request.data)
        line = selectors.line_for(request.user, body.site, body.line, Role.OPERATOR)
        if body.preauthorised and not has_role(request.user, Role.ADMIN, body.site):
            raise Forbidden("Only an admin of the site can let devices in unseen.")
        issued = enrolment.issue_enrolment_token(
            line=line,
            group=selectors.group_named(body.group) if body.group else None,
            uses=body.uses,
            is_preauthorised=body.preauthorised,
            lifetime_s=body.lifetime_s,
            actor=actor_of(request),
        )
        headers = {"Cache-Control": "no-store"}
        return Response(IssuedTokenSerializer(issued).data, 201, headers=headers)
