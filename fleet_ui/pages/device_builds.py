"""What devices build: whom a build was offered to, and a person's word on what came of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from fleet_ui.access import page, signed_in_user
from fleet_ui.actions import told
from server.accounts.actors import actor_of
from server.accounts.models import Role
from server.accounts.scope import has_role
from server.builds import selectors, services
from server.builds.device_reads import turns_at, why_no_device
from server.builds.models import Build
from server.lib.errors import Forbidden

MAX_REASON = 500


def context_of(request: HttpRequest, build: Build) -> dict[str, Any]:
    """What the page of a build shows of devices."""
    artifact = getattr(build, "artifact", None)
    return {
        "turns": turns_at(build),
        "why_no_device": why_no_device(build),
        "waits_for_approval": artifact is not None
        and artifact.waits_for_approval
        and artifact.superseded_at is None,
        "can_judge": has_role(signed_in_user(request), Role.RELEASER),
    }


@require_POST
@page
def approve(request: HttpRequest, build_id: int) -> HttpResponse:
    """Let it be signed."""
    done = "Approved: it is signed within moments."
    return _judge(request, build_id, services.approve_artifact, done)


@require_POST
@page
def reject(request: HttpRequest, build_id: int) -> HttpResponse:
    """Never let it be signed."""
    done = "Rejected: it will not be signed, and another build may be asked for."
    return _judge(request, build_id, services.reject_artifact, done)


def _judge(
    request: HttpRequest, build_id: int, service: Callable[..., object], done: str
) -> HttpResponse:
    if not has_role(signed_in_user(request), Role.RELEASER):
        raise Forbidden("This needs the role releaser.")
    found = selectors.build(build_id)
    reason = request.POST.get("reason", "").strip()[:MAX_REASON]
    if not reason:
        messages.error(request, "Give a reason: it stays with the artifact.")
        return redirect("build", build_id=build_id)
    with told(request, done):
        service(build=found, actor=actor_of(request), reason=reason)
    return redirect("build", build_id=build_id)
