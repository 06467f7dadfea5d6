"""Models: the list, and one model with its artifact matrix."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from fleet_ui.access import page
from fleet_ui.live import render_live
from fleet_ui.reads import models as reads
from inference_core.contract.build import InspectionReport
from server.accounts.models import Role
from server.accounts.scope import has_role


@require_GET
@page
def models(request: HttpRequest) -> HttpResponse:
    """All models."""
    rows = reads.list_models()
    is_moving = any(row.builds.get("leased") or row.builds.get("queued") for row in rows)
    return render_live(request, "models", {"rows": rows}, is_moving=is_moving)


@require_GET
@page
def model(request: HttpRequest, name: str) -> HttpResponse:
    """One model; ``?version=`` chooses whose matrix is shown, the newest without it."""
    found = reads.model_named(name)
    versions = list(reads.versions_of(found))
    wanted = request.GET.get("version")
    chosen = next((v for v in versions if wanted in (None, v.version)), None)
    if wanted and chosen is None:
        raise Http404(f"{name} has no version {wanted}.")
    matrix = reads.matrix_of(chosen) if chosen else None
    context = {
        "model": found,
        "versions": versions,
        "chosen": chosen,
        "manifest": chosen.manifest if chosen else None,
        "report": InspectionReport.model_validate(chosen.report) if chosen else None,
        "matrix": matrix,
        "may_upload": has_role(request.user, Role.RELEASER),
    }
    return render_live(request, "model", context, is_moving=bool(matrix and matrix.is_moving))
