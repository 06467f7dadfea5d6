"""The first page: what needs me now, what moves, what happened."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from fleet_ui.access import page, signed_in_user, sites_of
from fleet_ui.live import render_live
from fleet_ui.reads import overview as reads
from fleet_ui.reads.devices import count_presence, seen_devices
from server.lib import clock


@require_GET
@page
def overview(request: HttpRequest) -> HttpResponse:
    """Attention, counts, active rollouts, news."""
    user, now = signed_in_user(request), clock.now()
    active = reads.active_rollouts(user)
    context = {
        "attention": reads.attention(user, active, now),
        "counts": count_presence(seen_devices(sites_of(request)), now),
        "active": active,
        "news": reads.recent_news(user),
    }
    return render_live(request, "overview", context, is_moving=bool(active))
