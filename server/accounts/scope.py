"""Where somebody may do what: every queryset of a site's things is cut to this."""

from __future__ import annotations

from django.contrib.auth.models import AnonymousUser

from server.accounts.models import Role, User


def site_names(user: User | AnonymousUser, role: Role = Role.VIEWER) -> frozenset[str] | None:
    """Names of the sites where ``user`` has at least ``role``; None is every site."""
    if not isinstance(user, User) or not user.is_active:
        return frozenset()
    if user.is_superuser:
        return None
    sites = frozenset(
        assignment.site
        for assignment in user.assignments
        if Role(assignment.role).rank >= role.rank
    )
    return None if "" in sites else sites


def has_role(user: User | AnonymousUser, role: Role, site: str | None = None) -> bool:
    """Whether ``user`` has at least ``role`` at ``site``; without a site: anywhere at all."""
    sites = site_names(user, role)
    if sites is None:
        return True
    return bool(sites) if site is None else site in sites
