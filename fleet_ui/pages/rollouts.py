"""Rollouts: the list, one rollout, and the hand on the brake."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_POST

from fleet_ui.access import page, signed_in_user
from fleet_ui.actions import told
from fleet_ui.live import render_live
from fleet_ui.reads import rollouts as reads
from fleet_ui.reads.shadows import shadows_before
from fleet_ui.rollout_acts import ACTS
from server.accounts.actors import actor_of
from server.accounts.models import Role
from server.accounts.scope import has_role
from server.lib import clock
from server.rollouts.selectors.rollouts import rollout_for, rollouts_for
from server.rollouts.states import RolloutState

PAGE_ROWS, MAX_REASON = 50, 500


@require_GET
@page
def rollouts(request: HttpRequest) -> HttpResponse:
    """All rollouts, newest first; ``?state=`` filters."""
    wanted = request.GET.get("state", "")
    found = rollouts_for(signed_in_user(request))
    if wanted in RolloutState:
        found = found.filter(state=wanted)
    shown = Paginator(found, PAGE_ROWS).get_page(request.GET.get("page"))
    rows = reads.rollout_rows(found.filter(pk__in=[rollout.pk for rollout in shown]))
    context = {
        "page": shown,
        "rows": rows,
        "states": RolloutState,
        "wanted": wanted,
        "may_release": has_role(request.user, Role.RELEASER),
    }
    is_moving = any(row.rollout.state in reads.ACTIVE for row in rows)
    return render_live(request, "rollouts", context, is_moving=is_moving)


@require_GET
@page
def rollout(request: HttpRequest, rollout_id: UUID) -> HttpResponse:
    """One rollout."""
    user = signed_in_user(request)
    found = rollout_for(user, rollout_id)
    stages = reads.stage_views(found, clock.now())
    present = reads.present_stage([view.stage for view in stages])
    shown = next((v for v in reversed(stages) if v.judgement), stages[0] if stages else None)
    is_held = reads.is_stuck(found, present.judgement if present else None)
    context = {
        "rollout": found,
        "word": "held" if is_held else found.state,
        "stages": stages,
        "gate": shown,
        "groups": reads.phase_groups(found),
        "part_count": found.deployments.count(),
        "parts_shown": reads.DEVICES_SHOWN,
        "shadows": shadows_before(found),
        "timeline": reads.timeline_of(found),
        "acts": [act for act in ACTS.values() if found.state in act.states],
        "can_act": rollouts_for(user, Role.RELEASER).filter(pk=found.pk).exists(),
    }
    return render_live(request, "rollout", context, is_moving=found.state in reads.ACTIVE)


@require_POST
@page
def act(request: HttpRequest, rollout_id: UUID, act: str) -> HttpResponse:
    """Start, pause, resume, stop or roll back, each with a reason for the record."""
    chosen = ACTS.get(act)
    if chosen is None:
        raise Http404("A rollout has no such action.")
    found = rollout_for(signed_in_user(request), rollout_id, Role.RELEASER)
    reason = request.POST.get("reason", "").strip()[:MAX_REASON]
    if not reason:
        messages.error(request, "Give a reason: it stays with the rollout.")
        return redirect("rollout", rollout_id=rollout_id)
    with told(request, f"{chosen.done}: {found}."):
        chosen.service(rollout=found, actor=actor_of(request), reason=reason)
    return redirect("rollout", rollout_id=rollout_id)
