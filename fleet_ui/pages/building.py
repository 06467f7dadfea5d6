"""One hardware profile: what it asks of a device, and where its artifacts are built."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from fleet_ui.access import page, signed_in_user
from fleet_ui.actions import told
from fleet_ui.pages.profiles import decides
from fleet_ui.reads import profiles as reads
from server.accounts.actors import actor_of
from server.fleet.building import set_building as change_building
from server.fleet.models import BuiltOn
from server.fleet.selectors import profile_named
from server.lib.errors import Forbidden, Invalid

MAX_REASON = 2000


@require_GET
@page
def profile(request: HttpRequest, name: str) -> HttpResponse:
    """One profile. It is not polled: nothing on it moves by itself."""
    user = signed_in_user(request)
    row = reads.profile_row(user, name)
    context = {
        "row": row,
        "profile": row.profile,
        "places": BuiltOn,
        "builders": reads.builders_of(row.profile),
        "changes": reads.changes_of(row.profile),
        "can_decide": decides(user),
    }
    return render(request, "fleet_ui/profile.html", context)


@require_POST
@page
def set_building(request: HttpRequest, name: str) -> HttpResponse:
    """Let workers or the profile's own devices build, with a reason for the record."""
    if not decides(signed_in_user(request)):
        raise Forbidden("Where a profile is built is decided by an admin of all sites.")
    found = profile_named(name)
    reason = request.POST.get("reason", "").strip()[:MAX_REASON]
    if not reason:
        messages.error(request, "Give a reason: it stays with the profile.")
        return redirect("profile", name=name)
    with told(request, f"From the next build on, {name} is built as you said."):
        change_building(
            profile=found,
            built_on=_place(request),
            needs_approval=request.POST.get("needs_approval") == "yes",
            reason=reason,
            actor=actor_of(request),
        )
    return redirect("profile", name=name)


def _place(request: HttpRequest) -> BuiltOn:
    try:
        return BuiltOn(request.POST.get("built_on", ""))
    except ValueError:
        raise Invalid("Choose where its artifacts are built.") from None
