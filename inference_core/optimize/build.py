"""Runs a build: every candidate is made, judged and measured; one is certified."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from inference_core.contract.build import BuildJob, BuildOutcome
from inference_core.contract.parity import refuse_slow
from inference_core.errors import NotFinite, RuntimeUnavailable
from inference_core.optimize import parity
from inference_core.optimize.bench import bench
from inference_core.optimize.certify import certify
from inference_core.optimize.coverage import refuse_small
from inference_core.optimize.feed import Feed
from inference_core.optimize.fold import fold
from inference_core.optimize.materials import Materials, gather
from inference_core.optimize.publish import publish
from inference_core.optimize.select import Trial, choose, report
from inference_core.optimize.workshop import Emit, Log, Workshop

__all__ = ["Emit", "run_build", "run_builds"]

_SIMPLIFIED_SHARE = 0.15
_JUDGED_SHARE = 0.8
"""Where the candidates are all made and judged; before and after it shares are guesses."""


def run_build(job: BuildJob, emit: Emit) -> BuildOutcome:
    """Build, judge, choose, certify. The artifact is written only when the outcome is succeeded.

    The first event has the recipe. Raises ``BadInput`` where the job does not describe what lies
    on the disk, or its sets overlap, ``NotNow`` for a full disk, and ``RuntimeUnavailable``; a
    candidate that breaks is told of in the outcome instead.
    """
    with tempfile.TemporaryDirectory(prefix="build-") as folder:
        log = Log(emit)
        workshop = Workshop(job, Path(folder), log, is_one_of_several=False)
        workshop.tell_recipe()
        return _Build([workshop], Path(folder), log).run()


def run_builds(jobs: Sequence[BuildJob], emit: Emit) -> BuildOutcome:
    """As ``run_build``, over jobs that differ in their runtime only: one artifact wins of all.

    A runtime that is not here is told of and left out. Raises ``RuntimeUnavailable`` where none is.
    """
    with tempfile.TemporaryDirectory(prefix="build-") as folder:
        log = Log(emit)
        workshops = []
        for job in jobs:
            try:
                workshops.append(Workshop(job, Path(folder), log, is_one_of_several=True))
            except RuntimeUnavailable as error:  # noqa: PERF203 a handful of runtimes
                log.tell("simplify", f"{job.profile.runtime} is left out: {error}")
        if not workshops:
            raise RuntimeUnavailable(
                "no runtime is here to build for: pip install 'linewarden[build]'"
            )
        return _Build(workshops, Path(folder), log).run()


def _refuse(reason: str) -> BuildOutcome:
    return BuildOutcome(outcome="refused", reason=reason, candidates=())


class _Build:
    """One build with its open files; ``run`` may be called once."""

    def __init__(self, workshops: Sequence[Workshop], folder: Path, log: Log) -> None:
        self._workshops = workshops
        self._job = workshops[0].job
        self._trials = [trial for workshop in workshops for trial in workshop.trials]
        self._folder = folder
        self._log = log

    def run(self) -> BuildOutcome:
        materials = gather(self._job)
        images = len(materials.golden.samples)
        self._log.tell("parity", f"judge the reference on {images} images", 0.05)
        try:
            reference = parity.evaluate(materials.reference, materials.manifest, materials.golden)
        except NotFinite as error:
            return _refuse(f"the reference itself is broken: {error}")
        limits = self._job.limits
        reason = refuse_small(reference.readings, limits) or parity.refuse_reference(
            reference, limits
        )
        if reason:
            return _refuse(reason)
        self._log.tell("simplify", "fix the input shape and fold constants", 0.1)
        folded = self._folder / "folded.onnx"
        fold(materials.model, materials.manifest, folded)
        self._make_trials(folded, materials, reference)
        self._measure(materials)
        return self._conclude(materials)

    def _make_trials(
        self, folded: Path, materials: Materials, reference: parity.Evaluation
    ) -> None:
        self._log.share = _SIMPLIFIED_SHARE
        step = (_JUDGED_SHARE - _SIMPLIFIED_SHARE) / len(self._trials)
        for workshop in self._workshops:
            for _ in workshop.make_trials(folded, materials, reference):
                self._log.share += step

    def _measure(self, materials: Materials) -> None:
        """Refused candidates are measured too: how much speed was given up is worth knowing."""
        judged = [trial for trial in self._trials if trial.parity is not None]
        if not judged:
            return
        runs = self._job.benchmark_runs
        self._log.tell("benchmark", f"{runs} runs each, in turns", _JUDGED_SHARE)
        inputs = next(iter(Feed(materials.golden, materials.manifest, limit=1)))
        loaded = {k: v for workshop in self._workshops for k, v in workshop.sessions.items()}
        figures = bench({trial.name: loaded[trial.name] for trial in judged}, inputs, runs)
        for trial in judged:
            trial.latency = figures[trial.name]
            self._judge_speed(trial)
        for workshop in self._workshops:
            workshop.close()
            for trial in workshop.trials:
                if trial.latency is not None and trial.failure is None:
                    workshop.weigh(trial, materials)

    def _judge_speed(self, trial: Trial) -> None:
        if trial.failure is not None:
            return
        if reason := refuse_slow(trial.name, trial.latency, self._job.limits):
            trial.give_up("refused", reason)

    def _conclude(self, materials: Materials) -> BuildOutcome:
        chosen = choose(self._trials)
        candidates = report(self._trials, chosen)
        if chosen is None:
            reason = "; ".join(candidate.reason for candidate in candidates)
            was_refused = any(trial.failure == "refused" for trial in self._trials)
            outcome: Literal["refused", "failed"] = "refused" if was_refused else "failed"
            return BuildOutcome(outcome=outcome, reason=reason, candidates=candidates)
        reason = next(c.reason for c in candidates if c.outcome == "chosen")
        self._log.tell("choose", reason, 0.95)
        workshop = next(one for one in self._workshops if chosen in one.trials)
        data = chosen.path.read_bytes()
        path, digest = publish(data, Path(self._job.output_dir), workshop.builder.suffix)
        certificate = certify(
            workshop.job, chosen, digest, workshop.runtime.version(), workshop.builder.packages
        )
        return BuildOutcome(
            outcome="succeeded",
            reason=reason,
            candidates=candidates,
            artifact_path=str(path),
            artifact_sha256=digest,
            artifact_bytes=len(data),
            certificate=certificate,
            manifest=materials.manifest,
        )
