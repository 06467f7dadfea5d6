"""Builds: the list, and one build with its candidates, certificate and log."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_POST

from fleet_ui.access import page, signed_in_user
from fleet_ui.actions import told
from fleet_ui.live import render_live
from fleet_ui.pages.device_builds import context_of
from fleet_ui.reads.models import candidates_of, classes_of
from inference_core.contract.build import ParityCertificate
from server.accounts.actors import actor_of
from server.accounts.models import Role
from server.accounts.scope import has_role
from server.builds import selectors, services
from server.builds.services.queueing import explain_ending
from server.builds.standing import standing_of
from server.builds.states import BUILD, BuildState
from server.lib.models import StateEvent

PAGE_ROWS = 50
MAX_RELEASES = 10


@require_GET
@page
def builds(request: HttpRequest) -> HttpResponse:
    """All builds, newest first; ``?state=`` filters."""
    wanted = request.GET.get("state", "")
    rows = selectors.builds().select_related("artifact").order_by("-id")
    if wanted in BuildState:
        rows = rows.filter(state=wanted)
    found = Paginator(rows, PAGE_ROWS).get_page(request.GET.get("page"))
    unserved = selectors.unserved_queues(
        {build.profile for build in found if build.state == BuildState.QUEUED}
    )
    context = {
        "page": found,
        "states": BuildState,
        "wanted": wanted,
        "unserved": unserved,
        "waiting": [build for build in found if build.state == BuildState.QUEUED],
        "builders": [(row, selectors.is_live(row)) for row in selectors.builders()],
    }
    is_moving = any(build.state in BUILD.open for build in found)
    return render_live(request, "builds", context, is_moving=is_moving)


@require_GET
@page
def build(request: HttpRequest, build_id: int) -> HttpResponse:
    """One build."""
    found = selectors.build(build_id)
    can_act = has_role(signed_in_user(request), Role.RELEASER)
    row = getattr(getattr(found, "artifact", None), "certificate", None)
    certificate = row and ParityCertificate.model_validate(row.body)
    context = {
        "build": found,
        "candidates": candidates_of(found),
        "certificate": certificate,
        "certificate_row": row,
        "standing": standing_of(found.artifact) if row else None,
        "limits": found.limits,
        "classes": classes_of(certificate.parity) if certificate else [],
        "releases": found.version.releases.order_by("-counter")[:MAX_RELEASES],
        **context_of(request, found),
        "events": StateEvent.objects.filter(subject="build", subject_id=found.pk).order_by("-id"),
        "unserved": selectors.unserved_because(found),
        "can_cancel": can_act and found.state in BUILD.open,
        "can_repeat": can_act and selectors.is_repeatable(found),
        "ending": explain_ending(found),
    }
    return render_live(request, "build", context, is_moving=found.state in BUILD.open)


@require_POST
@page
def cancel(request: HttpRequest, build_id: int) -> HttpResponse:
    """End a build, with a reason for the record."""
    _check_releaser(request)
    found = selectors.build(build_id)
    with told(request, f"Build {found.pk} is cancelled."):
        services.cancel_build(
            build_id=found.pk, actor=actor_of(request), reason=request.POST.get("reason", "")
        )
    return redirect("build", build_id=build_id)


@require_POST
@page
def repeat(request: HttpRequest, build_id: int) -> HttpResponse:
    """Ask for the same once more, with a reason for the record."""
    _check_releaser(request)
    found, newest = selectors.build(build_id), build_id
    with told(request, "It is queued once more."):
        newest = services.queue_build(
            version=found.version,
            profile=found.profile,
            actor=actor_of(request),
            again=True,
            reason=request.POST.get("reason", "")[: services.MAX_CANCEL_REASON],
        ).pk
    return redirect("build", build_id=newest)


def _check_releaser(request: HttpRequest) -> None:
    if not has_role(signed_in_user(request), Role.RELEASER):
        raise PermissionDenied("This needs the role releaser.")
