"""Models: the list, and one model with its artifact matrix, its line, its names and its runs."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST
from rest_framework.exceptions import ValidationError

from fleet_ui.access import page, signed_in_user
from fleet_ui.actions import told
from fleet_ui.live import render_live
from fleet_ui.reads import models as reads
from fleet_ui.reads import versions as version_reads
from fleet_ui.reads.limits import panel_of
from inference_core.contract.build import InspectionReport
from server.accounts.actors import actor_of
from server.accounts.models import Role, User
from server.accounts.scope import has_role, site_names
from server.lib.errors import DomainError, Invalid
from server.lib.fields import NameField
from server.registry.models import ModelVersion
from server.registry.selectors import model_version
from server.registry.services import move_alias as move
from server.registry.states import IMPORT

MAX_REASON, MOVE_PARTS = 1000, 3


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
    return show_model(request, name)


def show_model(
    request: HttpRequest,
    name: str,
    *,
    typed: Mapping[str, str] | None = None,
    problem: DomainError | None = None,
) -> HttpResponse:
    """The page, or its answer to a form of limits that was refused for a ``problem``."""
    found = reads.model_named(name)
    versions = list(reads.versions_of(found))
    wanted = request.GET.get("version")
    chosen = next((v for v in versions if wanted in (None, v.version)), None)
    if wanted and chosen is None:
        raise Http404(f"{name} has no version {wanted}.")
    matrix = reads.matrix_of(chosen) if chosen else None
    imports = version_reads.imports_of(found)
    context = {
        "model": found,
        "imports": imports,
        "mlflow_url": settings.ENV.mlflow_url,
        "aliases": version_reads.aliases_of(found),
        "moves": version_reads.moves_of(found),
        "can_release": has_role(request.user, Role.RELEASER),
        **(_told_of(request, chosen) if chosen else {}),
        "versions": versions,
        "chosen": chosen,
        "manifest": chosen.manifest if chosen else None,
        "report": InspectionReport.model_validate(chosen.report) if chosen else None,
        "matrix": matrix,
        "may_upload": has_role(request.user, Role.RELEASER),
        "limits": panel_of(found, typed, problem),
        "can_decide_limits": decides_limits(signed_in_user(request)),
    }
    if problem is not None:
        context["live_url"] = reverse("model", args=[name])
    is_moving = bool(matrix and matrix.is_moving) or any(
        row.state in IMPORT.open for row in imports
    )
    response = render_live(request, "model", context, is_moving=is_moving)
    response.status_code = problem.status if problem else response.status_code
    return response


def decides_limits(user: User) -> bool:
    """Models belong to no site, and neither does what is good enough of them."""
    return site_names(user, Role.ADMIN) is None


def _told_of(request: HttpRequest, chosen: ModelVersion) -> dict[str, object]:
    at = request.GET.get("at", "")[:40]
    link = urlencode({"version": chosen.version, "at": at})
    return {
        "origin": version_reads.origin_of(chosen),
        "tree": version_reads.tree_of(chosen),
        "warnings": version_reads.licence_warnings(chosen),
        "runs": version_reads.runs_of_version(
            signed_in_user(request), chosen, request.GET.get("page"), at
        ),
        "runs_link": f"?{link}&",
    }


@require_POST
@page
def move_alias(request: HttpRequest, name: str) -> HttpResponse:
    """Move an alias, as the button said: which, from where it was seen, and to what."""
    if not has_role(request.user, Role.RELEASER):
        raise PermissionDenied("Moving an alias needs the role releaser.")
    form = request.POST.dict()
    found, shown = reads.model_named(name), form.get("shown", "")
    back = f"{reverse('model', args=[name])}?{urlencode({'version': shown})}"
    alias, expected, version = _read_move(form)
    reason = form.get("reason", "").strip()[:MAX_REASON]
    if not reason:
        messages.error(request, "Give a reason: it stays with the alias.")
        return redirect(back)
    where = f"names {version} now" if version else "names no version now"
    with told(request, f"{name}@{alias} {where}."):
        move(
            model=found,
            name=_slug(alias),
            version=model_version(name, version) if version else None,
            expected=model_version(name, expected) if expected else None,
            actor=actor_of(request),
            reason=reason,
        )
    return redirect(back)


def _read_move(form: dict[str, str]) -> tuple[str, str, str]:
    """Alias, expected and new version; a name that is typed is a new alias of the shown version."""
    parts = form.get("move", "").split("/")
    if len(parts) == MOVE_PARTS:
        return parts[0], parts[1], parts[2]
    return form.get("alias", "").strip(), "", form.get("shown", "")


def _slug(alias: str) -> str:
    try:
        return str(NameField().run_validation(alias))
    except ValidationError:
        raise Invalid(
            "An alias has lower-case letters and digits, with single . _ or - between them."
        ) from None
