"""A new release after an older one: the same pipeline, with other versions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods
from rest_framework import serializers

from fleet_ui.access import page
from fleet_ui.pages.uploads import first_error
from fleet_ui.reads import plans
from server.accounts.actors import actor_of
from server.accounts.models import Role
from server.accounts.scope import has_role
from server.lib.errors import DomainError, Forbidden, Invalid
from server.lib.fields import NameField
from server.registry.models import Release
from server.registry.services import create_release

PIN = "version-of-"


class ReleaseForm(serializers.Serializer[Any]):
    """What is typed; what is pinned comes beside it."""

    name = NameField()
    notes = serializers.CharField(max_length=10_000, allow_blank=True, default="")


@require_http_methods(["GET", "HEAD", "POST"])
@page
def new_release(request: HttpRequest) -> HttpResponse:
    """The form: ``?after=`` is the older release, ``?version=`` the version to put in."""
    if not has_role(request.user, Role.RELEASER):
        raise Forbidden("Making a release needs the role releaser.")
    if request.method != "POST":
        return _form(request, {})
    try:
        release = _create(request)
    except DomainError as error:
        return _form(request, request.POST, error)
    messages.success(
        request,
        f"{release} is made. It is signed for each profile once its golden cases agree there; "
        "then it can be rolled out.",
    )
    return redirect("release", name=release.name)


def _create(request: HttpRequest) -> Release:
    before = Release.objects.filter(name=request.POST.get("after", "")).first()
    if before is None:
        raise Invalid("Choose the release that this one is made after.")
    form = ReleaseForm(data={key: request.POST.get(key, "") for key in ("name", "notes")})
    if not form.is_valid():
        raise first_error(form)
    pins = {
        key.removeprefix(PIN): value
        for key, value in request.POST.dict().items()
        if key.startswith(PIN)
    }
    return create_release(
        **form.validated_data,
        pipeline=before.pipeline_body,
        versions=pins,
        golden=before.golden,
        golden_mm_per_px=before.golden_mm_per_px,
        actor=actor_of(request),
    )


def _form(
    request: HttpRequest, values: Mapping[str, Any], problem: DomainError | None = None
) -> HttpResponse:
    version = plans.version_asked_for(request.GET.get("version", ""))
    others = plans.models_for(version)
    after = values.get("after") or request.GET.get("after", "")
    before = next((one for one in others if one.name == after), others[0] if others else None)
    context = {
        "version": version,
        "before": before,
        "others": others,
        "pins": _pins(before, version, values) if before else [],
        "name": values.get("name") or (plans.next_name(before) if before else ""),
        "notes": values.get("notes", ""),
        "problem": problem,
    }
    status = problem.status if problem else 200
    return render(request, "fleet_ui/new_release.html", context, status=status)


def _pins(before: Release, version: Any, values: Mapping[str, Any]) -> list[tuple[plans.Pin, str]]:
    """Each with what is chosen now: as it was posted, or as it is proposed."""
    pins = plans.pins_of(before, version)
    return [(pin, values.get(f"{PIN}{pin.model}") or pin.pinned) for pin in pins]
