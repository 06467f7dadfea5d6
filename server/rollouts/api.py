"""``/api/v1/rollouts``: plan, start, watch, pause, stop and roll back."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from inference_core.contract.device import Goal
from server.accounts.actors import actor_of
from server.accounts.models import Role
from server.accounts.permissions import RoledView
from server.fleet.selectors import device_for, group_for
from server.lib.errors import NotFound
from server.lib.messages import read_data
from server.lib.pagination import pages_by
from server.registry.models import Release
from server.rollouts import services
from server.rollouts.models import Rollout
from server.rollouts.policy import RolloutPolicy, StagePlan
from server.rollouts.selectors import goal_of, rollout_for, rollouts_for
from server.rollouts.serializers import (
    ReasonRequest,
    RolloutDetailSerializer,
    RolloutRequest,
    RolloutSerializer,
)
from server.rollouts.states import RolloutState


class RolloutFilter(django_filters.FilterSet):
    """``?state=&group=&release=``."""

    state = django_filters.ChoiceFilter(choices=RolloutState.choices)
    group = django_filters.CharFilter(field_name="group__name")
    release = django_filters.CharFilter(field_name="release__name")

    class Meta:
        model = Rollout
        fields = ("state", "group", "release")


class RolloutList(RoledView, ListAPIView):
    """All rollouts within the caller's scope; a new one by POST."""

    write_role = Role.RELEASER
    serializer_class = RolloutSerializer
    pagination_class = pages_by("-epoch")
    filterset_class = RolloutFilter

    def get_queryset(self) -> QuerySet[Rollout]:
        """Rollouts to groups that lie within the caller's sites."""
        return rollouts_for(self.request.user)

    @extend_schema(request=RolloutRequest, responses={201: RolloutDetailSerializer})
    def post(self, request: Request) -> Response:
        """Plan a rollout, and start it where ``start`` says so."""
        body = RolloutRequest(data=request.data)
        body.is_valid(raise_exception=True)
        wanted = body.validated_data
        rollout = services.create_rollout(
            name=wanted["name"],
            release=_release_named(wanted["release"]),
            group=group_for(request.user, wanted["group"], Role.RELEASER),
            stages=[read_data(StagePlan, plan) for plan in wanted["stages"]],
            policy=read_data(RolloutPolicy, wanted["policy"]),
            actor=actor_of(request),
            start=wanted["start"],
        )
        return Response(RolloutDetailSerializer(rollout).data, status.HTTP_201_CREATED)


def _release_named(name: str) -> Release:
    release = Release.objects.filter(name=name).first()
    if release is None:
        raise NotFound(f"There is no release {name!r}.")
    return release


class RolloutDetail(RoledView):
    """One rollout: stages with verdicts, and every device's part."""

    @extend_schema(responses=RolloutDetailSerializer)
    def get(self, request: Request, rollout_id: UUID) -> Response:
        """The rollout, or 404 outside the caller's scope."""
        return Response(RolloutDetailSerializer(rollout_for(request.user, rollout_id)).data)


class DeviceGoal(RoledView):
    """What a device should run now."""

    @extend_schema(responses=Goal)
    def get(self, request: Request, device_id: UUID) -> Response:
        """The goal as the device itself is given it."""
        goal = goal_of(device_for(request.user, device_id))
        return Response(goal.model_dump(mode="json"))


class RolloutAct(RoledView):
    """What a person decides about a rollout; each decision below names its service."""

    write_role = Role.RELEASER
    decide: Callable[..., Rollout | None]

    @extend_schema(request=ReasonRequest, responses=RolloutDetailSerializer)
    def post(self, request: Request, rollout_id: UUID) -> Response:
        """The rollout as it is now; after roll-back, the rollout that brings devices back."""
        body = ReasonRequest(data=request.data)
        body.is_valid(raise_exception=True)
        rollout = rollout_for(request.user, rollout_id, Role.RELEASER)
        reason = body.validated_data["reason"]
        made = self.decide(rollout=rollout, actor=actor_of(request), reason=reason)
        return Response(RolloutDetailSerializer(made or rollout).data)


class StartRollout(RolloutAct):
    """Let the next tick begin."""

    decide = staticmethod(services.start_rollout)


class PauseRollout(RolloutAct):
    """Make no new offers."""

    decide = staticmethod(services.pause_rollout)


class ResumeRollout(RolloutAct):
    """Go on."""

    decide = staticmethod(services.resume_rollout)


class StopRollout(RolloutAct):
    """Withdraw what has not been activated, and end."""

    decide = staticmethod(services.stop_rollout)


class RollBackRollout(RolloutAct):
    """Bring every device back to what it ran before."""

    decide = staticmethod(services.roll_back_rollout)


ACTS = {
    "start": StartRollout,
    "pause": PauseRollout,
    "resume": ResumeRollout,
    "stop": StopRollout,
    "roll-back": RollBackRollout,
}
