"""Devices: the list, one device, and letting a device in."""

from __future__ import annotations

from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_POST

from fleet_ui.access import page, signed_in_user, sites_of
from fleet_ui.actions import told
from fleet_ui.live import render_live
from fleet_ui.reads import device as device_reads
from fleet_ui.reads import devices as reads
from fleet_ui.reads import shadows
from fleet_ui.reads import versions as version_reads
from server.accounts.actors import actor_of
from server.accounts.models import Role
from server.accounts.scope import has_role
from server.fleet import services
from server.fleet.profile_services import assign_profile as assign
from server.fleet.selectors import device_for, profile_named
from server.lib import clock
from server.telemetry.logs import request_logs

PRESENCE_TABS = ("online", "stale", "offline", "pending", "quarantined")


@require_GET
@page
def devices(request: HttpRequest) -> HttpResponse:
    """The list; all of its state is in the address."""
    sites, now = sites_of(request), clock.now()
    wanted = reads.DeviceFilter.of(request.GET.dict())
    everything = reads.seen_devices(sites)
    found = reads.filter_devices(everything, wanted, now)
    rows_page, rows = reads.page_of_devices(found, request.GET.get("page"), now)
    context = {
        "wanted": wanted,
        "tabs": _tabs(request, reads.count_presence(everything, now)),
        "page": rows_page,
        "rows": rows,
        "page_link": _link(request, page=None),
        "public_url": settings.ENV.public_url,
        **reads.choices(sites),
    }
    return render_live(request, "devices", context, is_moving=any(row.phase for row in rows))


@require_GET
@page
def device(request: HttpRequest, device_id: UUID) -> HttpResponse:
    """One device."""
    now = clock.now()
    view = device_reads.device_view(device_id, sites_of(request), now)
    health = device_reads.health_of(view.device)
    user, site = signed_in_user(request), view.device.line.site.name
    context = {
        "view": view,
        "device": view.device,
        "figures": device_reads.figures_of(view.device, now),
        "health": health,
        "cameras": device_reads.cameras_of(view.device, health),
        "samples": device_reads.samples_of(view.device),
        "wanted_shadow": shadows.wanted_shadow(view.device),
        "shadows": shadows.shadows_on(view.device, now),
        "logs": device_reads.logs_of(view.device),
        "runs": version_reads.runs_of_device(user, view.device, request.GET.get("page")),
        "history": device_reads.history_of(view.device),
        "can_operate": has_role(user, Role.OPERATOR, site),
        "can_administer": has_role(user, Role.ADMIN, site),
    }
    return render_live(request, "device", context, is_moving=view.presence == "online")


@require_POST
@page
def accept(request: HttpRequest, device_id: UUID) -> HttpResponse:
    """Let a waiting device in."""
    found = device_for(signed_in_user(request), device_id, Role.OPERATOR)
    with told(request, f"{found.serial} is accepted: it gets its goal with its next poll."):
        services.accept_device(
            device=found,
            actor=actor_of(request),
            key_fingerprint=request.POST.get("key", ""),
        )
    return redirect("device", device_id=device_id)


@require_POST
@page
def assign_profile(request: HttpRequest, device_id: UUID) -> HttpResponse:
    """Say what a device is from now on."""
    found = device_for(signed_in_user(request), device_id, Role.ADMIN)
    name = request.POST.get("profile", "")[:100]
    with told(request, f"{found.serial} is {name} from now on: enrol the box again."):
        assign(device=found, profile=profile_named(name), actor=actor_of(request))
    return redirect("device", device_id=device_id)


@require_POST
@page
def ask_logs(request: HttpRequest, device_id: UUID) -> HttpResponse:
    """Ask a device for its logs."""
    found = device_for(signed_in_user(request), device_id, Role.OPERATOR)
    with told(request, f"{found.serial} is asked for its logs: it sends them with its next poll."):
        request_logs(device=found, actor=actor_of(request))
    return redirect("device", device_id=device_id)


def _tabs(request: HttpRequest, counts: dict[str, int]) -> list[dict[str, object]]:
    chosen = request.GET.get("presence", "")
    tabs: list[dict[str, object]] = [
        {"word": "", "label": "All", "link": _link(request, presence=None), "count": None}
    ]
    for word in PRESENCE_TABS:
        link = _link(request, presence=word)
        tabs.append({"word": word, "label": word, "link": link, "count": counts[word]})
    return [{**tab, "is_current": tab["word"] == chosen} for tab in tabs]


def _link(request: HttpRequest, **changes: str | None) -> str:
    """This address with changes; a change of the filter goes back to the first page."""
    query = {k: v for k, v in request.GET.dict().items() if v and k != "page"}
    for name, value in changes.items():
        query.pop(name, None)
        if value is not None:
            query[name] = value
    return f"{request.path}?{urlencode(query)}"
