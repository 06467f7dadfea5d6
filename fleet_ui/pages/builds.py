"""Builds: the list, and one build with its candidates, certificate and log."""

from __future__ import annotations

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from fleet_ui.access import page
from fleet_ui.live import render_live
from fleet_ui.reads.models import candidates_of, classes_of
from inference_core.contract.build import ParityCertificate
from server.builds import selectors
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
    context = {"page": found, "states": BuildState, "wanted": wanted}
    is_moving = any(build.state in BUILD.open for build in found)
    return render_live(request, "builds", context, is_moving=is_moving)


@require_GET
@page
def build(request: HttpRequest, build_id: int) -> HttpResponse:
    """One build."""
    found = selectors.build(build_id)
    row = getattr(getattr(found, "artifact", None), "certificate", None)
    certificate = row and ParityCertificate.model_validate(row.body)
    context = {
        "build": found,
        "candidates": candidates_of(found),
        "certificate": certificate,
        "certificate_row": row,
        "classes": classes_of(certificate.parity) if certificate else [],
        "releases": found.version.releases.order_by("-counter")[:MAX_RELEASES],
        "events": StateEvent.objects.filter(subject="build", subject_id=found.pk).order_by("-id"),
    }
    return render_live(request, "build", context, is_moving=found.state in BUILD.open)
