"""One attempt at a check: lease it, run the child, record what came of it, sign the release."""

from __future__ import annotations

import logging
import os
import socket
import tempfile
import uuid
from pathlib import Path

from django.conf import settings

from inference_core.contract.golden import PipelineJob, PipelineOutcome
from server.builds import twins
from server.builds.attempts import child_limits, describe_ending
from server.builds.checks.leases import lease_check, tell_left
from server.builds.checks.materials import prepare_check
from server.builds.checks.monitor import CheckMonitor
from server.builds.checks.outcomes import give_up_check, record_check
from server.builds.checks.passing import pass_on
from server.builds.checks.states import CheckState
from server.builds.errors import OutcomeError
from server.builds.models import PipelineCheck
from server.builds.patience import with_patience
from server.builds.selectors import signable
from server.builds.services.releases import sign_release
from server.builds.worker import what_waits
from server.lib.children import Ending, run_core
from server.lib.errors import Conflict

logger = logging.getLogger(__name__)


def run_check(check_id: int) -> None:
    """Try a queued check once. Does nothing where it is not queued, or somebody has it.

    A check for other hardware than this stays in the queue, for its twin or a device.
    """
    check = with_patience(lambda: _lease(check_id))
    if check is None:
        return
    logger.info("%s: attempt %s", check, check.attempts)
    try:
        _try(check, check.lease_owner)
    except Conflict as lost:
        logger.warning("%s: %s", check, lost.detail)
        return
    if check.may_be_signed:
        with what_waits():
            with_patience(
                lambda: sign_release(release_id=check.release_id, profile_id=check.profile_id)
            )


def _lease(check_id: int) -> PipelineCheck | None:
    queued = PipelineCheck.objects.select_related("profile").filter(
        pk=check_id, state=CheckState.QUEUED
    )
    check = queued.first()
    if check is None:
        return None
    if problem := twins.problem_of(check.profile.spec):
        if check.profile.is_built_on_device:
            pass_on(check=check, host=socket.gethostname(), problem=problem)
            return None
        logger.error("%s is left for its twin: %s", check, problem)
        tell_left(check=check, why=f"left for its twin by the builder that was asked: {problem}")
        return None
    owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
    return lease_check(check_id=check_id, owner=owner)


def _try(check: PipelineCheck, owner: str) -> None:
    try:
        with tempfile.TemporaryDirectory(prefix="linewarden-check-") as name:
            _attempt(check, owner, Path(name))
    except OSError as error:
        # A full disk, or storage that is away: another attempt, perhaps elsewhere, may do.
        logger.exception("%s: the attempt failed", check)
        why = f"The worker could not read or write its files: {error}."
        _give_up(check, owner, why, is_final=False)


def _give_up(check: PipelineCheck, owner: str, why: str, *, is_final: bool) -> None:
    with_patience(lambda: give_up_check(check=check, owner=owner, why=why, is_final=is_final))


def _attempt(check: PipelineCheck, owner: str, folder: Path) -> None:
    artifacts = signable(check.release, check.profile)
    if artifacts is None:
        why = "An artifact of the release is not signed, or fails today's limits of its model."
        _give_up(check, owner, why, is_final=True)
        return
    job = prepare_check(check, artifacts, folder)
    path = folder / "job.json"
    path.write_bytes(job.to_json())
    monitor = CheckMonitor(check, owner)
    done = run_core(
        ["certify", "--job", str(path)],
        timeout_s=settings.ENV.build_timeout_s,
        limits=child_limits(),
        on_line=monitor.on_line,
        cancelled=monitor.is_lost,
    )
    if done.ending is Ending.ITSELF and done.returncode >= 0 and monitor.outcome:
        _record(check, owner, job, monitor.outcome)
    else:
        is_final = done.ending in {Ending.TIMEOUT, Ending.OUTPUT}
        _give_up(check, owner, describe_ending("check", done), is_final=is_final)


def _record(check: PipelineCheck, owner: str, job: PipelineJob, outcome: PipelineOutcome) -> None:
    if outcome.outcome == "failed" and not outcome.is_final:
        why = f"The check could not go on at this worker: {outcome.reason}"
        _give_up(check, owner, why, is_final=False)
        return
    try:
        with_patience(lambda: record_check(check=check, owner=owner, job=job, outcome=outcome))
    except OutcomeError as error:
        why = f"The result of the check is not used: {error}"
        _give_up(check, owner, why, is_final=True)
