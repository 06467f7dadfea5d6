"""A new rollout: a release, a group, how far each stage reaches, and what its gate asks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from fleet_ui.access import page, signed_in_user
from fleet_ui.reads import plans
from server.accounts.actors import actor_of
from server.accounts.models import Role
from server.accounts.scope import has_role
from server.fleet.selectors import group_for, groups_within
from server.lib.errors import DomainError, Forbidden, Invalid
from server.lib.messages import read_data
from server.registry.models import Release
from server.rollouts.models import Rollout
from server.rollouts.policy import MAX_STAGES, RolloutPolicy, StagePlan
from server.rollouts.services import create_rollout

DEFAULTS = {"stages": "1, 50 %, 100 %", "min_soak_min": "60", "min_frames": "500"}
SHOWN_MISSING, MAX_NAME = 20, 200
_STAGE = re.compile(r"(\d{1,7}(?:\.\d{1,4})?)\s*(%?)")


@require_http_methods(["GET", "HEAD", "POST"])
@page
def new_rollout(request: HttpRequest) -> HttpResponse:
    """The form: ``?release=`` is chosen in it, or the newest release with ``?version=``."""
    if not has_role(request.user, Role.RELEASER):
        raise Forbidden("Starting a rollout needs the role releaser.")
    if request.method != "POST":
        return _form(request, DEFAULTS)
    try:
        rollout = _create(request)
    except DomainError as error:
        return _form(request, request.POST, error)
    done = "is scheduled; its first stage opens in a moment" if _is_start(request) else "is a draft"
    messages.success(request, f"{rollout.name} {done}.")
    return redirect("rollout", rollout_id=rollout.pk)


def _create(request: HttpRequest) -> Rollout:
    form = {key: value.strip() for key, value in request.POST.dict().items()}
    release = Release.objects.filter(name=form.get("release", "")).first()
    if release is None:
        raise Invalid("Choose a release.")
    if not form.get("group"):
        raise Invalid("Choose a group.")
    name = form.get("name", "")
    if not 0 < len(name) <= MAX_NAME:
        raise Invalid(f"Give the rollout a name of at most {MAX_NAME} characters.")
    return create_rollout(
        name=name,
        release=release,
        group=group_for(request.user, form["group"], Role.RELEASER),
        stages=read_stages(form.get("stages", "")),
        policy=_policy(form),
        actor=actor_of(request),
        start=_is_start(request),
    )


def read_stages(text: str) -> list[StagePlan]:
    """``1, 50 %, 100 %``: devices, or a share of the group, earlier stages included."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not 0 < len(words) <= MAX_STAGES:
        raise Invalid(f"Give 1 to {MAX_STAGES} stages, for example: {DEFAULTS['stages']}.")
    return [_stage(word) for word in words]


def _stage(word: str) -> StagePlan:
    found, no_stage = (
        _STAGE.fullmatch(word),
        Invalid(f"{word[:40]!r} is no stage: write a number of devices, or a share as 25 %."),
    )
    if found is None or ("." in found[1] and not found[2]):
        raise no_stage
    plan = {"share": float(found[1]) / 100} if found[2] else {"devices": int(found[1])}
    try:
        return read_data(StagePlan, plan)
    except Invalid:
        raise no_stage from None


def _policy(form: Mapping[str, str]) -> RolloutPolicy:
    given: dict[str, Any] = {
        "min_soak_s": _number(form, "min_soak_min", "minutes of soak") * 60,
        "min_frames": int(_number(form, "min_frames", "frames")),
    }
    if form.get("max_p95_ms"):
        given["max_p95_ms"] = _number(form, "max_p95_ms", "milliseconds")
    return read_data(RolloutPolicy, given)


def _number(form: Mapping[str, str], name: str, what: str) -> float:
    text = form.get(name, "")
    if not re.fullmatch(r"\d{1,9}(\.\d{1,4})?", text):
        raise Invalid(f"{text[:40]!r} is no number of {what}.")
    return float(text)


def _is_start(request: HttpRequest) -> bool:
    return request.POST.get("start") == "yes"


def _form(
    request: HttpRequest, values: Mapping[str, Any], problem: DomainError | None = None
) -> HttpResponse:
    user = signed_in_user(request)
    version = plans.version_asked_for(request.GET.get("version", ""))
    releases = list(plans.releases_with(version)[: plans.SHOWN_RELEASES])
    wanted = values.get("release") or request.GET.get("release", "")
    chosen = wanted or (releases[0].name if version and releases else "")
    context = {
        "values": values,
        "version": version,
        "releases": releases,
        "chosen": chosen,
        "name": values.get("name") or chosen,
        "groups": groups_within(user, Role.RELEASER).order_by("name"),
        "problem": problem,
        "missing": (problem.extra.get("missing", []) if problem else [])[:SHOWN_MISSING],
    }
    status = problem.status if problem else 200
    return render(request, "fleet_ui/new_rollout.html", context, status=status)
