"""Releases: the list, and one release with what it pins and where it is signed."""

from __future__ import annotations

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
from server.builds.checks.queueing import queue_check
from server.builds.checks.waiving import waive_check
from server.fleet.models import HardwareProfile
from server.rollouts.selectors.rollouts import rollouts_for


@require_GET
@page
def releases(request: HttpRequest) -> HttpResponse:
    """All releases, newest first."""
    return render_live(request, "releases", {"releases": reads.list_releases()})


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
    context["can_judge"] = has_role(user, Role.RELEASER)
    is_moving = any(row.is_moving for row in targets)
    return render_live(request, "release", context, is_moving=is_moving)


@require_POST
@page
def judge(request: HttpRequest, name: str) -> HttpResponse:
    """Have the golden cases judged again where it could not be found out."""
    found, profile = reads.release_named(name), _profile_to_judge(request)
    with told(request, f"The golden cases of {found} will be judged again on {profile}."):
        queue_check(release=found, profile=profile, actor=actor_of(request))
    return redirect("release", name=name)


@require_POST
@page
def waive(request: HttpRequest, name: str) -> HttpResponse:
    """Answer for a release whose golden cases nobody can judge, with a reason for the record."""
    found, profile = reads.release_named(name), _profile_to_judge(request)
    with told(request, f"{found} will be signed for {profile} without a golden certificate."):
        waive_check(
            release=found,
            profile=profile,
            reason=request.POST.get("reason", ""),
            actor=actor_of(request),
        )
    return redirect("release", name=name)


def _profile_to_judge(request: HttpRequest) -> HardwareProfile:
    if not has_role(signed_in_user(request), Role.RELEASER):
        raise PermissionDenied("To have a release judged, you need the role releaser.")
    profile = HardwareProfile.objects.filter(name=request.POST.get("profile", "")).first()
    if profile is None:
        raise Http404("There is no such hardware profile.")
    return profile
