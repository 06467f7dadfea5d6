"""Which checks there must be, and that their messages reach a builder of the profile."""

from __future__ import annotations

from functools import partial

from django.db import transaction

from server.accounts import audit
from server.builds import dispatch
from server.builds.checks.selectors import newest_check, predates
from server.builds.checks.states import CHECK, SIGNABLE, CheckState
from server.builds.models import PipelineCheck
from server.builds.selectors import release_target, signable
from server.fleet.models import HardwareProfile
from server.lib import clock
from server.lib.errors import Conflict
from server.registry.models import Release

RUN_CHECK = "server.builds.tasks.check_pipeline"


def queue_check(*, release: Release, profile: HardwareProfile, actor: str) -> PipelineCheck:
    """The open check of a release for a profile: the one that there is, or a new one.

    Raises Conflict while an artifact is missing, and where the answer is known for good.
    """
    last = newest_check(release, profile)
    if last is not None and last.state in CHECK.open:
        return last
    _refuse_known(release, profile, last)
    with transaction.atomic():
        check, is_new = add_check(release=release, profile=profile, after=last)
        if is_new:
            audit.record(
                actor=actor,
                action="queue",
                subject="pipeline_check",
                subject_id=str(check.pk),
                after={"release": release.name, "profile": profile.name},
            )
            transaction.on_commit(partial(send_check, check))
    return check


def add_check(
    *, release: Release, profile: HardwareProfile, after: PipelineCheck | None
) -> tuple[PipelineCheck, bool]:
    """The check with the next number, and whether it is new: two calls at once get the same."""
    return PipelineCheck.objects.get_or_create(
        release=release,
        profile=profile,
        number=after.number + 1 if after else 1,
        defaults={"created_at": clock.now()},
    )


def send_check(check: PipelineCheck) -> bool:
    """Ask a builder of the profile to run it, or who signs for it; whether a message was sent."""
    queue = dispatch.signing_queue_of(check.profile)
    return dispatch.send_once(RUN_CHECK, check.pk, queue=queue)


def _refuse_known(release: Release, profile: HardwareProfile, last: PipelineCheck | None) -> None:
    if release_target(release, profile) is not None:
        raise Conflict(f"{release} is signed for {profile} already.")
    artifacts = signable(release, profile)
    is_open = last is None or last.state == CheckState.FAILED
    if last is not None and last.state in SIGNABLE and artifacts is not None:
        is_open = predates(last, artifacts.values())
    if last is not None and not is_open:
        raise Conflict(
            f"The golden cases of {release} were judged on {profile}: {last.state}. "
            "Neither the release nor its artifacts ever change, so they are not judged again."
        )
    if artifacts is None:
        raise Conflict(
            f"{release} cannot be judged on {profile}: an artifact is not signed yet, or fails "
            "the limits that its model has today."
        )
