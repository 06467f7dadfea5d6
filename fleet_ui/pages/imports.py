"""Asking for a version out of MLflow, from the page of a model."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from fleet_ui.access import page
from fleet_ui.actions import told
from fleet_ui.reads import models as reads
from server.accounts.actors import actor_of
from server.accounts.models import Role
from server.accounts.scope import has_role
from server.registry.services import request_import


@require_POST
@page
def ask_import(request: HttpRequest, name: str) -> HttpResponse:
    """A worker sees to it; the page shows how far it is."""
    if not has_role(request.user, Role.RELEASER):
        raise PermissionDenied("Importing a version needs the role releaser.")
    form = {key: value.strip() for key, value in request.POST.dict().items()}
    with told(request, f"Version {form.get('version', '')} is on its way."):
        request_import(
            model=reads.model_named(name),
            version=form.get("version", "")[:50],
            foreign_name=form.get("name", "")[:500],
            foreign_version=form.get("number", "")[:100],
            actor=actor_of(request),
        )
    return redirect("model", name=name)
