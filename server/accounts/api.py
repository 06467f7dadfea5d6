"""Who am I, and what may I do."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.accounts.models import RoleAssignment, User


class RoleSerializer(serializers.ModelSerializer):
    """A role; an empty site is every site."""

    class Meta:
        model = RoleAssignment
        fields = ("role", "site")


class MeSerializer(serializers.ModelSerializer):
    """The caller."""

    roles = RoleSerializer(many=True, source="assignments")

    class Meta:
        model = User
        fields = ("username", "is_superuser", "roles")


class MeView(APIView):
    """``GET me``."""

    @extend_schema(responses=MeSerializer)
    def get(self, request: Request) -> Response:
        """The caller and the roles it has."""
        return Response(MeSerializer(request.user).data)
