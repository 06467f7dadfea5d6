"""One attempt at a check: lease it, run the child, record what came of it, sign the release."""

from __future__ import annotations

import logging
import math
import os
import socket
import tempfile
import uuid
from pathlib import Path

from django.conf import settings

from inference_core.contract.golden import PipelineJob
from server.builds.checks.leases import lease_check
from server.builds.checks.materials import prepare_check
from server.builds.checks.monitor import CheckMonitor
from server.builds.checks.outcomes import CheckOutcomeError, give_up_check, record_check
from server.builds.checks.states import CheckState
from server.builds.models import PipelineCheck
from server.builds.selectors import signable
from server.builds.services.releases import sign_release
from server.builds.worker import what_waits
from server.lib.children import ChildLimits, Completed, Ending, run_core
from server.lib.errors import Conflict

MEMORY_BYTES = 16 * 1024**3
"""Address space, not memory: runtimes reserve far more than they touch."""

logger = logging.getLogger(__name__)


def run_check(check_id: int) -> None:
    """Try a queued check once. Does nothing where it is not queued, or somebody has it."""
    owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
    check = lease_check(check_id=check_id, owner=owner)
    if check is None:
        return
    logger.info("%s: attempt %s", check, check.attempts)
    try:
        _try(check, owner)
    except Conflict as lost:
        logger.warning("%s: %s", check, lost.detail)
        return
    if check.state == CheckState.SUCCEEDED:
        with what_waits():
            sign_release(release_id=check.release_id, profile_id=check.profile_id)


def _try(check: PipelineCheck, owner: str) -> None:
    try:
        with tempfile.TemporaryDirectory(prefix="linewarden-check-") as name:
            _attempt(check, owner, Path(name))
    except OSError as error:
        # A full disk, or storage that is away: another attempt, perhaps elsewhere, may do.
        logger.exception("%s: the attempt failed", check)
        why = f"The worker could not read or write its files: {error}."
        give_up_check(check=check, owner=owner, why=why, is_final=False)


def _attempt(check: PipelineCheck, owner: str, folder: Path) -> None:
    artifacts = signable(check.release, check.profile)
    if artifacts is None:
        why = "An artifact of the release is not signed."
        give_up_check(check=check, owner=owner, why=why, is_final=True)
        return
    job = prepare_check(check, artifacts, folder)
    path = folder / "job.json"
    path.write_bytes(job.to_json())
    monitor = CheckMonitor(check, owner)
    done = run_core(
        ["certify", "--job", str(path)],
        timeout_s=settings.ENV.build_timeout_s,
        limits=_limits(),
        on_line=monitor.on_line,
        cancelled=monitor.is_lost,
    )
    if done.ending is Ending.ITSELF and done.returncode >= 0 and monitor.outcome:
        _record(check, owner, job, monitor)
    else:
        is_final = done.ending in {Ending.TIMEOUT, Ending.OUTPUT}
        give_up_check(check=check, owner=owner, why=_describe(done), is_final=is_final)


def _record(check: PipelineCheck, owner: str, job: PipelineJob, monitor: CheckMonitor) -> None:
    if monitor.outcome is None:
        raise ValueError("only a check with an outcome can be recorded")
    try:
        record_check(check=check, owner=owner, job=job, outcome=monitor.outcome)
    except CheckOutcomeError as error:
        why = f"The result of the check is not used: {error}"
        give_up_check(check=check, owner=owner, why=why, is_final=True)


def _limits() -> ChildLimits:
    # A process has as much processor time as all cores give within the hard limit.
    cpu_s = math.ceil(settings.ENV.build_timeout_s * (os.cpu_count() or 1)) + 1
    return ChildLimits(memory_bytes=MEMORY_BYTES, cpu_s=cpu_s)


def _describe(done: Completed) -> str:
    tail = done.stderr_tail.strip().splitlines()
    last = f" It last said: {tail[-1][:300]}" if tail else ""
    if done.ending is Ending.TIMEOUT:
        return f"The check did not end within {settings.ENV.build_timeout_s:g} s.{last}"
    if done.ending is Ending.OUTPUT:
        return "The check wrote without end and was stopped."
    if done.ending is Ending.CANCELLED:
        return "The lease was lost while the check ran."
    if done.returncode < 0:
        return f"The check was killed by signal {-done.returncode}.{last}"
    return f"The check ended with status {done.returncode} and no outcome.{last}"
