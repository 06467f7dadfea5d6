"""Releases: the list, and one release with what it pins and where it is signed."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from fleet_ui.access import page, signed_in_user, sites_of
from fleet_ui.live import render_live
from fleet_ui.reads import releases as reads
from fleet_ui.reads.rollouts import rollout_rows
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
    is_moving = any(row.is_moving for row in targets)
    return render_live(request, "release", context, is_moving=is_moving)
