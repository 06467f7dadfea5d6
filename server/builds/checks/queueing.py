"""Which checks there must be, and that their messages reach a builder of the profile."""

from __future__ import annotations

from functools import partial

from django.db import transaction

from server.accounts import audit
from server.builds import dispatch
from server.builds.checks.selectors import is_for_hosts, newest_check, predates
from server.builds.checks.states import CHECK, SIGNABLE, CheckState
from server.builds.models import PipelineCheck
from server.builds.selectors import release_target, signable
from server.fleet.models import HardwareProfile
from server.lib import clock
from server.lib.errors import Conflict, Invalid
from server.registry.models import Release

RUN_CHECK = "server.builds.tasks.check_pipeline"
MAX_REASON = 1000


def queue_check(
    *, release: Release, profile: HardwareProfile, actor: str, reason: str = ""
) -> PipelineCheck:
    """The open check of a release for a profile: the one that there is, or a new one.

    What a device said may be doubted, with a ``reason``, until the release is signed: Invalid
    without. Raises Conflict while an artifact is missing, and where the answer is known for good.
    """
    last = newest_check(release, profile)
    if last is not None and last.state in CHECK.open:
        ask_hosts_again(check=last, actor=actor)
        return last
    reason = reason.strip()
    _refuse_known(release, profile, last)
    if last is not None and _needs_reason(last) and not reason:
        raise Invalid("Say why you doubt what the device said: the reason stays in the audit log.")
    if len(reason) > MAX_REASON:
        raise Invalid(f"Give a reason of at most {MAX_REASON} characters.")
    with transaction.atomic():
        check, is_new = add_check(release=release, profile=profile, after=last)
        if is_new:
            audit.record(
                actor=actor,
                action="queue",
                subject="pipeline_check",
                subject_id=str(check.pk),
                reason=reason,
                before=last and {"state": last.state, "device": last.device and str(last.device)},
                after={"release": release.name, "profile": profile.name},
            )
            transaction.on_commit(partial(send_check, check))
    return check


@transaction.atomic
def ask_hosts_again(*, check: PipelineCheck, actor: str) -> None:
    """Forget what hosts said that could not judge; nothing where they are still asked."""
    if check.state != CheckState.QUEUED or is_for_hosts(check):
        return
    queued = PipelineCheck.objects.filter(pk=check.pk, state=CheckState.QUEUED)
    if not queued.update(asked={}, passes=0):
        return
    audit.record(
        actor=actor,
        action="ask_hosts",
        subject="pipeline_check",
        subject_id=str(check.pk),
        before={"asked": check.asked},
    )
    check.asked, check.passes = {}, 0
    dispatch.forget(RUN_CHECK, check.pk)
    transaction.on_commit(partial(send_check, check))


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
    """Ask a builder of the profile to run it, or who signs for it; whether a message was sent.

    Hosts that sign are left alone once they have said that they cannot.
    """
    if not is_for_hosts(check):
        return False
    queue = dispatch.signing_queue_of(check.profile)
    return dispatch.send_once(RUN_CHECK, check.pk, queue=queue)


def is_doubtable(check: PipelineCheck) -> bool:
    """Whether it is the word of a device alone, and nothing was made of it yet."""
    if check.device_id is None:
        return False
    return check.state == CheckState.REFUSED or (
        check.state == CheckState.SUCCEEDED and check.waits_for_approval
    )


def _may_be_judged_again(last: PipelineCheck) -> bool:
    return last.state == CheckState.FAILED or is_doubtable(last) or _judged_others(last)


def _needs_reason(last: PipelineCheck) -> bool:
    """Whether judging again is a doubt: what judged other artifacts is old, whoever did it."""
    return is_doubtable(last) and not _judged_others(last)


def _judged_others(last: PipelineCheck) -> bool:
    artifacts = signable(last.release, last.profile) or {}
    return last.state in SIGNABLE and predates(last, artifacts.values())


def _refuse_known(release: Release, profile: HardwareProfile, last: PipelineCheck | None) -> None:
    if release_target(release, profile) is not None:
        raise Conflict(f"{release} is signed for {profile} already.")
    if last is not None and not _may_be_judged_again(last):
        raise Conflict(
            f"The golden cases of {release} were judged on {profile}: {last.state}. "
            "Neither the release nor its artifacts ever change, so they are not judged again."
        )
    if signable(release, profile) is None:
        raise Conflict(
            f"{release} cannot be judged on {profile}: an artifact is not signed yet, or fails "
            "the limits that its model has today."
        )
