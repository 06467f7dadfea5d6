"""Which builds there must be, and that their messages reach a builder."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from django.db import transaction

from server.accounts import audit
from server.builds import dispatch
from server.builds.models import Artifact, Build
from server.builds.services.operators import why_never
from server.builds.standing import (
    current_artifact,
    explain_refusal,
    has_other_limits,
    is_worth_another,
    standing_of,
)
from server.builds.states import BUILD, BuildState
from server.fleet.models import BuiltOn, HardwareProfile
from server.fleet.selectors import profiles_in_use
from server.lib import clock
from server.lib.errors import Conflict, Invalid
from server.lib.states import move
from server.registry.limits import in_full
from server.registry.models import ModelVersion, VisionModel

RUN_BUILD = "server.builds.tasks.run_build"
MAX_SENT = 50
"""Messages of one sweep."""
_PRESENT: dict[str, str] = {BuildState.QUEUED: "queued", BuildState.LEASED: "being worked on"}


@dataclass(frozen=True)
class Requested:
    """The build that answers a request; ``note`` says why it is no new one."""

    build: Build
    is_new: bool
    note: str = ""


def queue_build(
    *,
    version: ModelVersion,
    profile: HardwareProfile,
    actor: str,
    again: bool = False,
    reason: str = "",
) -> Build:
    """As ``request_build``, for whoever wants the build alone."""
    return request_build(
        version=version, profile=profile, actor=actor, again=again, reason=reason
    ).build


def request_build(
    *,
    version: ModelVersion,
    profile: HardwareProfile,
    actor: str,
    again: bool = False,
    reason: str = "",
) -> Requested:
    """The build of a version for a profile: the one that there is, or a new one.

    After one that was refused or failed there is a new one only ``again``, with a reason, which
    is Invalid without; after one that was refused, also where the limits of its model were
    changed and its figures do not speak against it. One that the runtime could never take has
    failed at once, with the node that it lacks. Conflict for another one of what is built and
    keeps the limits of today: its bytes never change.
    """
    builds = Build.objects.filter(version=version, profile=profile)
    builds = builds.select_related("version__model", "profile")
    last = builds.order_by("number").last()
    known = None if last is None else _answer_with(last, again=again)
    if known is not None:
        return known
    if last is not None and not reason.strip():
        reason = _why_anew(last)
    if last is not None and not reason.strip():
        raise Invalid("Say why it is worth another try: the reason stays with the build.")
    # From the row that was judged, not counted anew: who comes second must come to the same one.
    number = last.number + 1 if last else 1
    return _queue(version, profile, number=number, actor=actor, reason=reason.strip())


def _answer_with(last: Build, *, again: bool) -> Requested | None:
    if last.state in BUILD.open:
        note = f"Build {last.pk} is {_PRESENT[last.state]}."
        old = " Its limits were changed since: cancel it to have it judged by today's."
        return Requested(last, is_new=False, note=note + (old if has_other_limits(last) else ""))
    made = current_artifact(last.version, last.profile)
    if made is not None and not standing_of(made).shortfall:
        if again:
            raise Conflict(f"{last} is built already, and its bytes never change.")
        return Requested(made.build, is_new=False, note=f"Build {made.build_id} made it already.")
    if again or is_worth_another(last):
        return None
    return Requested(last, is_new=False, note=explain_ending(last))


def _why_anew(last: Build) -> str:
    """The reason for one that nobody gave a reason for; empty where somebody must."""
    if not is_worth_another(last):
        return ""
    return f"The limits of {last.version.model} were changed since build {last.pk}."


def explain_ending(build: Build) -> str:
    """What a build without an artifact means for whoever would ask for another."""
    if build.state == BuildState.REFUSED and (changed := explain_refusal(build)):
        return changed
    if build.state == BuildState.REFUSED:
        return (
            f"Build {build.pk} was refused, and the result would be the same: change the model, "
            "its sets or its limits. If you doubt the figures, ask again and say why."
        )
    made = getattr(build, "artifact", None)
    if made is not None:
        return _explain_artifact(made)
    ended = "was rejected" if build.state == BuildState.SUCCEEDED else "failed"
    return f"Build {build.pk} {ended}: {build.reason} To try anew, ask again and say why."


def _explain_artifact(made: Artifact) -> str:
    shortfall = standing_of(made).shortfall
    begin = f"Build {made.build_id} made it"
    if not shortfall:
        return f"{begin}."
    return (
        f"{begin}, and it fails the limits of today: {shortfall}. Ask again and say why; releases "
        "that are signed keep what they have."
    )


def _queue(
    version: ModelVersion, profile: HardwareProfile, *, number: int, actor: str, reason: str
) -> Requested:
    now = clock.now()
    with transaction.atomic():
        # Of two calls at once, both come to the same number.
        build, is_new = Build.objects.get_or_create(
            version=version,
            profile=profile,
            number=number,
            defaults={
                "created_at": now,
                "queued_at": now,
                "is_again": number > 1,
                # Read afresh: the caller's model may be older than somebody's decision.
                "limits_body": in_full(VisionModel.objects.get(pk=version.model_id).limits),
            },
        )
        if is_new:
            audit.record(
                actor=actor,
                action="queue",
                subject="build",
                subject_id=str(build.pk),
                reason=reason,
                after={"version": str(version), "profile": profile.name, "number": number},
            )
            _begin(build, why_never(version, profile), actor)
    return Requested(build, is_new)


def wake_waiting(key: str) -> None:
    """After the commit, send for builds that wait for the one with the same key."""
    if key:
        transaction.on_commit(partial(_send_waiting, key))


def _send_waiting(key: str) -> None:
    waiting = Build.objects.filter(key=key, state=BuildState.QUEUED).select_related("profile")
    for build in waiting:
        dispatch.forget(RUN_BUILD, build.pk)
        _send(build)


def _begin(build: Build, why_never: str, actor: str) -> None:
    if not why_never:
        transaction.on_commit(partial(_send, build))
        return
    now = clock.now()
    move(BUILD, build, BuildState.FAILED, actor=actor, reason=why_never, finished_at=now)
    Build.objects.filter(pk=build.pk).update(reason=why_never)
    build.reason = why_never


def queue_missing_builds(*, actor: str) -> list[Build]:
    """A build for every version and profile in use that never had one."""
    queued = []
    for profile in profiles_in_use():
        without = ModelVersion.objects.exclude(builds__profile=profile).order_by("pk")
        queued += [
            queue_build(version=version, profile=profile, actor=actor)
            for version in without.select_related("model__golden", "model__calibration")
        ]
    return queued


def resend_builds() -> int:
    """Send the messages of queued builds again, in case they were lost; how many were sent."""
    queued = Build.objects.filter(state=BuildState.QUEUED, profile__built_on=BuiltOn.BUILDERS)
    waiting = queued.select_related("profile")
    return sum(_send(build) for build in waiting.order_by("queued_at", "pk")[:MAX_SENT])


def _send(build: Build) -> bool:
    if build.profile.is_built_on_device:
        return False  # a device is asked instead, by its goal
    return dispatch.send_once(RUN_BUILD, build.pk, profile=build.profile.name)
