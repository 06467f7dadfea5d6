"""REST API of aliases, and of the line that a version stands in."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.accounts.actors import actor_of
from server.accounts.models import Role
from server.accounts.permissions import RoledView, at_least
from server.lib.errors import Invalid, NotFound
from server.lib.fields import NameField
from server.registry import selectors, services
from server.registry.alias_serializers import (
    AliasMoveSerializer,
    AliasSerializer,
    LineageSerializer,
    NewAliasMove,
)
from server.registry.lineage import lineage_of
from server.registry.models import Alias, AliasMove, ModelVersion


@extend_schema(tags=["models"])
class AliasList(ListAPIView[Alias]):
    """Aliases of a model."""

    serializer_class = AliasSerializer
    permission_classes = [at_least(Role.VIEWER)]

    def get_queryset(self) -> QuerySet[Alias]:
        """Those that name no version now too: their moves are not forgotten."""
        if getattr(self, "swagger_fake_view", False):
            return Alias.objects.none()
        return selectors.aliases(self.kwargs["name"])


@extend_schema(tags=["models"])
class AliasMoves(RoledView, ListAPIView[AliasMove]):
    """Moves of an alias, the newest first; make one."""

    serializer_class = AliasMoveSerializer
    write_role = Role.RELEASER

    def get_queryset(self) -> QuerySet[AliasMove]:
        """Every move that was ever made."""
        if getattr(self, "swagger_fake_view", False):
            return AliasMove.objects.none()
        return selectors.alias_moves(self.kwargs["name"], self.kwargs["alias"])

    @extend_schema(request=NewAliasMove, responses={201: AliasMoveSerializer})
    def post(self, request: Request, name: str, alias: str) -> Response:
        """Move an alias from ``expected``; 409 where it is not there any more.

        A null ``version`` takes it away, a null ``expected`` says that it names none now.
        """
        form = NewAliasMove(data=request.data)
        form.is_valid(raise_exception=True)
        told: dict[str, Any] = form.validated_data
        move = services.move_alias(
            model=selectors.model(name),
            name=NameField().run_validation(alias),
            version=_version(name, told["version"]),
            expected=_version(name, told["expected"]),
            actor=actor_of(request),
            reason=told["reason"],
        )
        return Response(AliasMoveSerializer(move).data, 201)


@extend_schema(tags=["models"])
class LineageView(APIView):
    """Where a version comes from, and what came of it."""

    permission_classes = [at_least(Role.VIEWER)]

    @extend_schema(responses=LineageSerializer)
    def get(self, request: Request, name: str, version: str) -> Response:  # noqa: ARG002
        """Ancestors and descendants, of other models too."""
        row = selectors.model_version(name, version)
        return Response(LineageSerializer(lineage_of(row)).data)


def _version(model: str, version: str | None) -> ModelVersion | None:
    """A version that a body names: wrong in a body is 422, not 404."""
    if version is None:
        return None
    try:
        return selectors.model_version(model, version)
    except NotFound as error:
        raise Invalid(error.detail) from None
