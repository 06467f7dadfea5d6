"""Devices: seen within the scope, configured, trusted and cut off."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from server.accounts.actors import actor_of
from server.accounts.models import Role
from server.accounts.permissions import RoledView
from server.fleet import selectors, services
from server.fleet.filters import DeviceFilter
from server.fleet.models import Device
from server.fleet.requests import Acceptance, Decision, DeviceChanges, Pardon
from server.fleet.serializers import DeviceDetailSerializer, DeviceSerializer
from server.lib.messages import read_data
from server.lib.pagination import pages_by


class DevicesView(RoledView, ListAPIView):
    """``devices``."""

    serializer_class = DeviceSerializer
    filterset_class = DeviceFilter
    pagination_class = pages_by("serial")

    def get_queryset(self) -> QuerySet[Device]:
        """Devices within the caller's scope."""
        return selectors.devices_for(self.request.user).prefetch_related("groups")


def _detail(request: Request, device_id: UUID) -> Response:
    return Response(DeviceDetailSerializer(selectors.device_for(request.user, device_id)).data)


class DeviceView(RoledView):
    """``devices/{id}``."""

    write_role = Role.OPERATOR

    @extend_schema(responses=DeviceDetailSerializer)
    def get(self, request: Request, device_id: UUID) -> Response:
        """One device."""
        return _detail(request, device_id)

    @extend_schema(request=DeviceChanges, responses=DeviceDetailSerializer)
    def patch(self, request: Request, device_id: UUID) -> Response:
        """Configure a device; it adopts this with its next poll."""
        changes = read_data(DeviceChanges, request.data)
        device = selectors.device_for(request.user, device_id, Role.OPERATOR)
        if changes.cameras is not None or changes.sample_every_s is not None:
            services.configure_device(
                device=device,
                cameras=changes.cameras,
                sample_every_s=changes.sample_every_s,
                actor=actor_of(request),
            )
        if "sampling" in changes.model_fields_set:
            services.set_sampling(device=device, policy=changes.sampling, actor=actor_of(request))
        if "variant" in changes.model_fields_set:
            services.assign_variant(
                device=device, variant=changes.variant or "", actor=actor_of(request)
            )
        return _detail(request, device_id)


class AcceptView(RoledView):
    """``devices/{id}/accept``."""

    @extend_schema(request=Acceptance, responses=DeviceDetailSerializer)
    def post(self, request: Request, device_id: UUID) -> Response:
        """Trust a pending device, or the new key that waits on a known one."""
        body = read_data(Acceptance, request.data)
        services.accept_device(
            device=selectors.device_for(request.user, device_id, Role.ADMIN),
            reason=body.reason,
            key_fingerprint=body.key_fingerprint,
            actor=actor_of(request),
        )
        return _detail(request, device_id)


class QuarantineView(RoledView):
    """``devices/{id}/quarantine``."""

    write_role = Role.OPERATOR

    @extend_schema(request=Decision, responses=DeviceDetailSerializer)
    def post(self, request: Request, device_id: UUID) -> Response:
        """Cut a device off for now."""
        reason = read_data(Decision, request.data).reason
        device = selectors.device_for(request.user, device_id, Role.OPERATOR)
        services.quarantine_device(device=device, reason=reason, actor=actor_of(request))
        return _detail(request, device_id)


class ReleaseView(RoledView):
    """``devices/{id}/release``."""

    write_role = Role.OPERATOR

    @extend_schema(request=Pardon, responses=DeviceDetailSerializer)
    def post(self, request: Request, device_id: UUID) -> Response:
        """End a quarantine."""
        reason = read_data(Pardon, request.data).reason
        device = selectors.device_for(request.user, device_id, Role.OPERATOR)
        services.release_device(device=device, reason=reason, actor=actor_of(request))
        return _detail(request, device_id)


class RevokeView(RoledView):
    """``devices/{id}/revoke``."""

    @extend_schema(request=Decision, responses=DeviceDetailSerializer)
    def post(self, request: Request, device_id: UUID) -> Response:
        """Never trust a device again."""
        reason = read_data(Decision, request.data).reason
        device = selectors.device_for(request.user, device_id, Role.ADMIN)
        services.revoke_device(device=device, reason=reason, actor=actor_of(request))
        return _detail(request, device_id)
