"""Rollouts as people may see them."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet

from server.accounts.models import Role
from server.accounts.scope import site_names
from server.fleet.models import Device, Group
from server.fleet.selectors import Caller
from server.lib.errors import Forbidden, NotFound
from server.rollouts.models import Rollout


def groups_within(user: Caller, role: Role = Role.VIEWER) -> QuerySet[Group]:
    """Groups whose every device stands where ``user`` has at least ``role``.

    A group that crosses sites belongs to those who may act at all of them: a rollout is one
    decision for the whole group.
    """
    sites = site_names(user, role)
    if sites is None:
        return Group.objects.all()
    foreign = Device.objects.exclude(line__site__name__in=sites)
    mine = Group.objects.filter(devices__line__site__name__in=sites).distinct()
    return mine.exclude(devices__in=foreign)


def group_for(user: Caller, name: str, role: Role = Role.VIEWER) -> Group:
    """One group; NotFound outside the scope, Forbidden where only the role is missing."""
    group = groups_within(user, role).filter(name=name).first()
    if group is not None:
        return group
    if groups_within(user).filter(name=name).exists():
        raise Forbidden(f"This needs the role {role.value} at every site of the group {name!r}.")
    raise NotFound(f"There is no group {name!r} in your scope.")


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
