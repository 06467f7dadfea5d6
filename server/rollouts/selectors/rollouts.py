"""Rollouts as people may see them."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet

from server.accounts.models import Role
from server.fleet.selectors import Caller, groups_within
from server.lib.errors import Forbidden, NotFound
from server.rollouts.models import Rollout


def rollouts_for(user: Caller, role: Role = Role.VIEWER) -> QuerySet[Rollout]:
    """Rollouts to those groups, the newest first."""
    rollouts = Rollout.objects.select_related("release", "group", "undoes").order_by("-epoch")
    return rollouts.filter(group__in=groups_within(user, role))


def rollout_for(user: Caller, rollout_id: UUID, role: Role = Role.VIEWER) -> Rollout:
    """One rollout; NotFound outside the scope, Forbidden where only the role is missing."""
    rollout = rollouts_for(user, role).filter(pk=rollout_id).first()
    if rollout is not None:
        return rollout
    if rollouts_for(user).filter(pk=rollout_id).exists():
        raise Forbidden(f"This needs the role {role.value} at every site of the rollout's group.")
    raise NotFound("There is no such rollout in your scope.")
