"""One attempt at a build: lease it, run the child, record what came of it."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

from inference_core.contract.build import BuildJob, BuildOutcome
from server.builds import twins
from server.builds.attempts import child_limits, describe_ending
from server.builds.errors import OutcomeError
from server.builds.models import Build
from server.builds.monitor import Monitor
from server.builds.patience import with_patience
from server.builds.services import artifacts, give_up, lease_build, record_outcome
from server.builds.states import BuildState
from server.datasets.selectors import materialise
from server.lib import blobs
from server.lib.children import Completed, Ending, run_core
from server.lib.errors import Conflict, TooLarge
from server.trust.waiting import WaitsForSignature

logger = logging.getLogger(__name__)


def run_build(build_id: int) -> None:
    """Try a queued build once. Does nothing where it is not queued, or somebody has it.

    A build for other hardware than this stays in the queue, for its twin.
    """
    build = with_patience(lambda: _lease(build_id))
    if build is None:
        logger.info("build %s: not queued any more, or not for this machine", build_id)
        return
    logger.info("build %s: attempt %s at %s", build.pk, build.attempts, build)
    owner = build.lease_owner
    try:
        _try(build, owner)
    except Conflict as lost:
        logger.warning("build %s: %s", build.pk, lost.detail)
        return
    if build.state == BuildState.SUCCEEDED:
        with what_waits():
            with_patience(lambda: artifacts.sign_artifact(artifact_id=build.artifact.pk))


@contextlib.contextmanager
def what_waits() -> Iterator[None]:
    """A person must sign first: told once, as sweeps leave alone what waits."""
    try:
        yield
    except WaitsForSignature as error:
        logger.info("%s", error.detail)


def _lease(build_id: int) -> Build | None:
    queued = Build.objects.select_related("profile").filter(pk=build_id, state=BuildState.QUEUED)
    build = queued.first()
    if build is None:
        return None
    if build.profile.is_built_on_device:
        return None  # the message is older than the decision that its own devices build
    if problem := twins.problem_of(build.profile.spec):
        logger.error("build %s is left for its twin: %s", build_id, problem)
        return None
    owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
    return lease_build(build_id=build_id, owner=owner)


def _try(build: Build, owner: str) -> None:
    try:
        _attempt(build, owner)
    except OSError as error:
        # A full disk, or storage that is away: another attempt, perhaps elsewhere, may do.
        logger.exception("build %s: the attempt failed", build.pk)
        why = f"The worker could not read or write its files: {error}."
        _give_up(build, owner, why, is_final=False)
    except (OutcomeError, TooLarge) as error:
        why = f"The result of the build is not used: {error}"
        _give_up(build, owner, why, is_final=True)


def _attempt(build: Build, owner: str) -> None:
    monitor = Monitor(build, owner)
    with tempfile.TemporaryDirectory(prefix="linewarden-build-") as name:
        folder = Path(name)
        job = _prepare(build, folder)
        done = run_core(
            ["build", "--job", str(job)],
            timeout_s=settings.ENV.build_timeout_s,
            limits=child_limits(),
            on_line=monitor.on_line,
            cancelled=monitor.is_lost,
        )
        with_patience(monitor.settle)
        if monitor.is_needless:
            return
        with_patience(lambda: monitor.close(done.stderr_tail))
        _conclude(build, owner, done, monitor.outcome, folder / "output")


def _conclude(
    build: Build, owner: str, done: Completed, outcome: BuildOutcome | None, output: Path
) -> None:
    if done.ending is not Ending.ITSELF or done.returncode < 0 or outcome is None:
        is_final = done.ending in {Ending.TIMEOUT, Ending.OUTPUT}
        _give_up(build, owner, describe_ending("build", done), is_final=is_final)
    elif outcome.outcome == "failed" and not outcome.is_final:
        why = f"The build could not go on at this worker: {outcome.reason}"
        _give_up(build, owner, why, is_final=False)
    else:
        with_patience(
            lambda: record_outcome(build=build, owner=owner, outcome=outcome, folder=output)
        )


def _give_up(build: Build, owner: str, why: str, *, is_final: bool) -> None:
    with_patience(lambda: give_up(build=build, owner=owner, why=why, is_final=is_final))


def _prepare(build: Build, folder: Path) -> Path:
    """Lay out all that the child needs, and nothing else; returns the job file."""
    version, model = build.version, build.version.model
    source = folder / "model.onnx"
    blobs.copy(version.sha256, source)
    materialise(model.golden, folder / "golden")
    materialise(model.calibration, folder / "calibration")
    (folder / "output").mkdir()
    job = BuildJob(
        model_path=str(source),
        source_sha256=version.sha256,
        manifest=version.manifest,
        profile=build.profile.spec,
        calibration_dir=str(folder / "calibration"),
        calibration_sha256=model.calibration.sha256,
        golden_dir=str(folder / "golden"),
        golden_sha256=model.golden.sha256,
        output_dir=str(folder / "output"),
        limits=build.limits,
    )
    path = folder / "job.json"
    path.write_bytes(job.to_json())
    return path
