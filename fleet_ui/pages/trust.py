"""Keys and signatures: who signs for what, what ends when, what waits for whom."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from fleet_ui.access import page
from fleet_ui.live import render_live
from server.lib import clock
from server.trust import standings


@require_GET
@page
def trust(request: HttpRequest) -> HttpResponse:
    """One table, and above it what waits."""
    now = clock.now()
    context = {
        "roles": standings.role_standings(now),
        "waiting": standings.waiting(),
        "overdue": standings.overdue(now),
    }
    return render_live(request, "trust", context)
