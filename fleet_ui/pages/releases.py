"""Releases: the list, and one release with what it pins and where it is signed."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_POST

from fleet_ui.access import page, signed_in_user, sites_of
from fleet_ui.actions import told
from fleet_ui.live import render_live
from fleet_ui.reads import releases as reads
from fleet_ui.reads.rollouts import rollout_rows
from server.accounts.actors import actor_of
from server.accounts.models import Role
from server.accounts.scope import has_role
from server.builds.checks.approving import approve_check
from server.builds.checks.queueing import MAX_REASON, queue_check
from server.builds.checks.waiving import waive_check
from server.builds.standing import warnings_for
from server.fleet.models import HardwareProfile
from server.rollouts.selectors.rollouts import rollouts_for


@require_GET
@page
def releases(request: HttpRequest) -> HttpResponse:
    """All releases, newest first."""
    may_release = has_role(request.user, Role.RELEASER)
    context = {"releases": reads.list_releases(), "may_release": may_release}
    return render_live(request, "releases", context)


@require_GET
@page
def release(request: HttpRequest, name: str) -> HttpResponse:
    """One release."""
    found, user = reads.release_named(name), signed_in_user(request)
    targets = reads.targets_of(found, sites_of(request))
    pinned = {version.model.name: version for version in found.versions.all()}
    context = {
        "release": found,
        "pipeline": found.pipeline,
        "stages": [(stage, pinned.get(stage.model)) for stage in found.pipeline.stages],
        "targets": targets,
        "judged": [row for row in targets if row.check is not None],
        "rollouts": rollout_rows(rollouts_for(user).filter(release=found)),
    }
    context["limit_warnings"] = warnings_for(found, [row.profile for row in targets])
    context["can_judge"] = has_role(user, Role.RELEASER)
    is_moving = any(row.is_moving for row in targets)
    return render_live(request, "release", context, is_moving=is_moving)


@require_POST
@page
def judge(request: HttpRequest, name: str) -> HttpResponse:
    """Have the golden cases judged again: they were not found out, or a device is doubted."""
    found, profile = reads.release_named(name), _profile_to_judge(request)
    with told(request, f"The golden cases of {found} will be judged again on {profile}."):
        queue_check(
            release=found, profile=profile, actor=actor_of(request), reason=_reason(request)
        )
    return redirect("release", name=name)


@require_POST
@page
def approve(request: HttpRequest, name: str) -> HttpResponse:
    """Believe the device that judged the golden cases, with a reason for the record."""
    found, profile = reads.release_named(name), _profile_to_judge(request)
    reason = _reason(request)[:MAX_REASON]
    if not reason:
        messages.error(request, "Give a reason: it stays with the release.")
        return redirect("release", name=name)
    with told(request, f"Approved: {found} is signed for {profile} within moments."):
        approve_check(release=found, profile=profile, reason=reason, actor=actor_of(request))
    return redirect("release", name=name)


@require_POST
@page
def waive(request: HttpRequest, name: str) -> HttpResponse:
    """Answer for a release whose golden cases nobody can judge, with a reason for the record."""
    found, profile = reads.release_named(name), _profile_to_judge(request)
    with told(request, f"{found} will be signed for {profile} without a golden certificate."):
        waive_check(
            release=found, profile=profile, reason=_reason(request), actor=actor_of(request)
        )
    return redirect("release", name=name)


def _reason(request: HttpRequest) -> str:
    return request.POST.get("reason", "").strip()


def _profile_to_judge(request: HttpRequest) -> HardwareProfile:
    if not has_role(signed_in_user(request), Role.RELEASER):
        raise PermissionDenied("To have a release judged, you need the role releaser.")
    profile = HardwareProfile.objects.filter(name=request.POST.get("profile", "")).first()
    if profile is None:
        raise Http404("There is no such hardware profile.")
    return profile
