"""Hardware profiles, and those that boxes ask for."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_POST

from fleet_ui.access import page, signed_in_user
from fleet_ui.actions import told
from fleet_ui.live import render_live
from fleet_ui.reads import profiles as reads
from server.accounts.actors import actor_of
from server.accounts.models import Role, User
from server.accounts.scope import site_names
from server.fleet import profile_services as services


@require_GET
@page
def profiles(request: HttpRequest) -> HttpResponse:
    """Those in use and one's own; ``?all=1`` shows every one that came with the server."""
    user, all_of_them = signed_in_user(request), request.GET.get("all") == "1"
    context = {
        "rows": reads.list_profiles(user, all_of_them=all_of_them),
        "all_of_them": all_of_them,
        "proposals": reads.proposals(),
        "can_decide": decides(user),
    }
    return render_live(request, "profiles", context)


@require_POST
@page
def accept(request: HttpRequest, name: str) -> HttpResponse:
    """Make a proposed profile."""
    _require_decider(request)
    with told(request, f"{name} is a profile now: the box finds it when it enrols again."):
        services.accept_proposal(name=name, actor=actor_of(request))
    return redirect("profiles")


@require_POST
@page
def dismiss(request: HttpRequest, name: str) -> HttpResponse:
    """Forget a proposal."""
    _require_decider(request)
    with told(request, f"{name} is forgotten; it comes back when a box asks again."):
        services.dismiss_proposal(name=name, actor=actor_of(request))
    return redirect("profiles")


def decides(user: User) -> bool:
    """Whether somebody is an admin of all sites: what is built under a profile may run anywhere."""
    return site_names(user, Role.ADMIN) is None


def _require_decider(request: HttpRequest) -> None:
    if not decides(signed_in_user(request)):
        raise PermissionDenied("A hardware profile is decided by an admin of all sites.")
