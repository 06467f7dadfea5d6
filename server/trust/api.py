"""What people may know of keys and signatures: names and days, never a key."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.accounts.models import Role
from server.accounts.permissions import at_least
from server.lib import clock
from server.trust import standings


class RoleStandingSerializer(serializers.Serializer):
    """One role of the repository; ``is_signed_here`` where its keys lie on the server."""

    role = serializers.CharField()
    version = serializers.IntegerField()
    expires_at = serializers.DateTimeField(allow_null=True)
    threshold = serializers.IntegerField()
    holders = serializers.ListField(child=serializers.CharField())
    is_signed_here = serializers.BooleanField()
    is_ending = serializers.BooleanField()
    is_current = serializers.BooleanField()


class WaitingSerializer(serializers.Serializer):
    """What a person must sign, and the command that goes on with it."""

    subject = serializers.CharField()
    what = serializers.CharField()
    todo = serializers.CharField()
    since = serializers.DateTimeField()


class OverdueSerializer(serializers.Serializer):
    """What stops updates soon unless somebody acts."""

    role = serializers.CharField()
    what = serializers.CharField()
    todo = serializers.CharField()
    at = serializers.DateTimeField(allow_null=True)


class TrustSerializer(serializers.Serializer):
    """All of it."""

    roles = RoleStandingSerializer(many=True)
    waiting = WaitingSerializer(many=True)
    overdue = OverdueSerializer(many=True)


@extend_schema(tags=["trust"])
class Trust(APIView):
    """``trust``."""

    permission_classes = [at_least(Role.VIEWER)]

    @extend_schema(responses=TrustSerializer)
    def get(self, request: Request) -> Response:  # noqa: ARG002 - the same for every viewer
        """Who signs for what, what ends when, and what waits for whose signature."""
        now = clock.now()
        answer = {
            "roles": standings.role_standings(now),
            "waiting": standings.waiting(),
            "overdue": standings.overdue(now),
        }
        return Response(TrustSerializer(answer).data)
