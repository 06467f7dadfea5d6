"""Logs of devices: asked for, listed, downloaded."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet
from django.http import FileResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.accounts.actors import actor_of
from server.accounts.models import Role
from server.accounts.permissions import RoledView, at_least
from server.fleet.selectors import device_for
from server.lib.pagination import pages_by
from server.telemetry.logs import open_logs, request_logs
from server.telemetry.models import LogRequest
from server.telemetry.selectors import log_request_for


class LogRequestSerializer(serializers.ModelSerializer):
    """A request for logs; ``state`` is waiting, received or forgotten."""

    state = serializers.CharField(source="word")

    class Meta:
        model = LogRequest
        fields = (
            "id",
            "device",
            "state",
            "requested_at",
            "requested_by",
            "received_at",
            "sha256",
            "length",
            "forgotten_at",
        )


class DeviceLogsView(RoledView, ListAPIView):
    """``devices/{id}/logs``."""

    write_role = Role.OPERATOR
    serializer_class = LogRequestSerializer
    pagination_class = pages_by("-requested_at", "-pk")

    def get_queryset(self) -> QuerySet[LogRequest]:
        """Requests to one device; NotFound where it lies outside the caller's scope."""
        if getattr(self, "swagger_fake_view", False):
            return LogRequest.objects.none()
        return device_for(self.request.user, self.kwargs["device_id"]).log_requests.all()

    @extend_schema(request=None, responses={200: LogRequestSerializer, 201: LogRequestSerializer})
    def post(self, request: Request, device_id: UUID) -> Response:
        """Ask for the device's logs; 200 where it is being asked already."""
        device = device_for(request.user, device_id, Role.OPERATOR)
        asked, is_new = request_logs(device=device, actor=actor_of(request))
        return Response(LogRequestSerializer(asked).data, 201 if is_new else 200)


class LogBundleView(APIView):
    """``logs/{id}/bundle``: for operators of the site; every download is audited."""

    permission_classes = [at_least(Role.OPERATOR)]

    @extend_schema(responses={(200, "application/zip"): OpenApiTypes.BINARY})
    def get(self, request: Request, request_id: UUID) -> FileResponse:
        """The ZIP itself, to be saved and never shown."""
        asked = log_request_for(request.user, request_id, Role.OPERATOR)
        return FileResponse(
            open_logs(asked=asked, actor=actor_of(request)),
            as_attachment=True,
            filename=f"{asked.device.serial}-{asked.received_at:%Y%m%dT%H%M%SZ}.zip",
            content_type="application/zip",
            headers={"Cache-Control": "private, no-store", "X-Content-Type-Options": "nosniff"},
        )
