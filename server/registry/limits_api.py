"""REST API of a model's parity limits, and of who changed them."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from pydantic import ConfigDict, Field
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from inference_core.contract.base import Document, Message
from inference_core.contract.build import ParityLimits
from server.accounts.actors import actor_of
from server.accounts.models import Role
from server.accounts.permissions import RoledView, at_least
from server.accounts.scope import site_names
from server.lib.errors import Forbidden
from server.lib.messages import read_data
from server.registry import limits as rules
from server.registry import selectors, services
from server.registry.models import LimitsChange, VisionModel
from server.registry.services.limits import MAX_REASON

Figures = dict[str, int | float | None]


class GivenLimits(ParityLimits):
    """Limits as a program gives them: true is no number, and neither is "0.9"."""

    model_config = ConfigDict(strict=True)


class NewLimits(Document):
    """``PUT`` and ``PATCH models/{name}/limits``; ``expected`` is the last change you saw."""

    limits: GivenLimits
    expected: int = Field(ge=0, le=2**31 - 1, strict=True)
    reason: str = Field(min_length=1, max_length=MAX_REASON)


class ShownLimits(Message):
    """Limits as they are today; ``number`` is that of their last change, 0 where there is none."""

    model: str
    number: int
    limits: Figures
    defaults: Figures
    at_least: Figures = Field(description="Nobody may set less.")
    at_most: Figures = Field(description="Nobody may set more.")
    warnings: tuple[str, ...]


class LimitsChangeSerializer(serializers.ModelSerializer[LimitsChange]):
    """One change, with all limits before and after it."""

    class Meta:
        model = LimitsChange
        fields = ["number", "old", "new", "actor", "reason", "at"]


class LimitsView(RoledView):
    """``models/{name}/limits``: written by admins of all sites."""

    @extend_schema(responses=ShownLimits, tags=["models"])
    def get(self, request: Request, name: str) -> Response:  # noqa: ARG002
        """What a build of this model must keep, by default or by decision."""
        return _show(selectors.model(name))

    @extend_schema(request=NewLimits, responses=ShownLimits, tags=["models"])
    def put(self, request: Request, name: str) -> Response:
        """Set them all, from the next build on; what is left out takes its default."""
        return _set(request, name, {})

    @extend_schema(request=NewLimits, responses=ShownLimits, tags=["models"])
    def patch(self, request: Request, name: str) -> Response:
        """Set some, from the next build on; what is left out stays, null lifts ``max_p95_ms``."""
        return _set(request, name, rules.in_full(selectors.model(name).limits))


@extend_schema(tags=["models"])
class LimitsChanges(ListAPIView[LimitsChange]):
    """Who changed a model's limits, when and why, the newest first."""

    serializer_class = LimitsChangeSerializer
    permission_classes = [at_least(Role.VIEWER)]

    def get_queryset(self) -> QuerySet[LimitsChange]:
        """Every change that was ever made."""
        if getattr(self, "swagger_fake_view", False):
            return LimitsChange.objects.none()
        return selectors.limits_changes(self.kwargs["name"])


def _set(request: Request, name: str, kept: dict[str, Any]) -> Response:
    if site_names(request.user, Role.ADMIN) is not None:
        raise Forbidden("What is good enough to be certified is decided by an admin of all sites.")
    body, model = read_data(NewLimits, request.data), selectors.model(name)
    # By attribute: a dump would leave out what somebody sets to its default.
    given = {name: getattr(body.limits, name) for name in body.limits.model_fields_set}
    services.set_limits(
        model=model,
        limits=ParityLimits.model_validate({**kept, **given}),
        expected=body.expected,
        reason=body.reason,
        actor=actor_of(request),
    )
    return _show(model)


def _show(model: VisionModel) -> Response:
    shown = ShownLimits(
        model=model.name,
        number=model.limits_number,
        limits=rules.in_full(model.limits),
        defaults=rules.in_full(rules.DEFAULTS),
        at_least=dict(rules.AT_LEAST),
        at_most=dict(rules.AT_MOST),
        warnings=tuple(rules.warnings_of(model, model.limits)),
    )
    return Response(shown.model_dump(mode="json"))
