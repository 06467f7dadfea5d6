"""Runs a build: every precision of the profile is made, judged and measured; one is certified."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from inference_core.contract.build import BuildJob, BuildOutcome, BuildProgress
from inference_core.contract.words import Precision
from inference_core.errors import BadInput, CoreError, NotFinite
from inference_core.optimize import parity
from inference_core.optimize.bench import bench
from inference_core.optimize.builders.base import Source
from inference_core.optimize.certify import certify
from inference_core.optimize.convert import get_builder
from inference_core.optimize.feed import Feed
from inference_core.optimize.fold import fold
from inference_core.optimize.materials import Materials, gather
from inference_core.optimize.memory import MemoryQuestion, measure_peak_memory
from inference_core.optimize.publish import publish
from inference_core.optimize.select import Trial, choose, report
from inference_core.runtimes.base import Session, SessionOptions
from inference_core.runtimes.lookup import get_runtime

logger = logging.getLogger(__name__)

Emit = Callable[[BuildProgress], None]
Step = Literal["simplify", "quantise", "convert", "benchmark", "parity", "choose"]

_JUDGED_SHARE = 0.8
"""Where the candidates are all made and judged; before and after it shares are guesses."""


def run_build(job: BuildJob, emit: Emit) -> BuildOutcome:
    """Build, judge, choose, certify. The artifact is written only when the outcome is succeeded.

    Raises ``BadInput`` where the job does not describe what lies on the disk, or its sets
    overlap; a candidate that breaks is told of in the outcome instead.
    """
    with tempfile.TemporaryDirectory(prefix="build-") as folder:
        return _Build(job, emit, Path(folder)).run()


def _refuse(reason: str) -> BuildOutcome:
    return BuildOutcome(outcome="refused", reason=reason, candidates=())


class _Build:
    """One build with its open files; ``run`` may be called once."""

    def __init__(self, job: BuildJob, emit: Emit, folder: Path) -> None:
        self._job = job
        self._emit = emit
        self._folder = folder
        self._builder = get_builder(job.profile.runtime)
        self._runtime = get_runtime(job.profile.runtime)
        self._options = SessionOptions(threads=job.profile.threads)
        self._sessions: dict[Precision, Session] = {}
        self._share = 0.0

    def run(self) -> BuildOutcome:
        materials = gather(self._job)
        self._tell("parity", 0.05, f"judge the reference on {len(materials.golden.samples)} images")
        try:
            reference = parity.evaluate(materials.reference, materials.manifest, materials.golden)
        except NotFinite as error:
            return _refuse(f"the reference itself is broken: {error}")
        if reason := parity.refuse_reference(reference, self._job.limits):
            return _refuse(reason)
        trials = self._make_trials(self._simplify(materials), materials, reference)
        self._measure(trials, materials)
        return self._conclude(trials, materials)

    def _simplify(self, materials: Materials) -> Source:
        self._tell("simplify", 0.1, "fix the input shape and fold constants")
        folded = self._folder / "folded.onnx"
        fold(materials.model, materials.manifest, folded)
        return Source(
            folded=folded,
            manifest=materials.manifest,
            calibration=Feed(materials.calibration, materials.manifest),
            architecture=self._job.profile.architecture,
            model=materials.model,
            calibration_sha256=self._job.calibration_sha256,
            tensorrt=self._job.profile.tensorrt,
            accelerator=self._job.profile.accelerator,
            tell=lambda detail: self._tell("convert", self._share, detail),
        )

    def _make_trials(
        self, source: Source, materials: Materials, reference: parity.Evaluation
    ) -> list[Trial]:
        trials = []
        precisions = self._job.profile.precisions
        for number, precision in enumerate(precisions):
            share = 0.15 + (_JUDGED_SHARE - 0.15) * number / len(precisions)
            trial = Trial(precision, self._folder / f"{precision}{self._builder.suffix}")
            trials.append(trial)
            try:
                self._make(trial, source, share)
                self._judge(trial, materials, reference, share)
            except NotFinite as error:
                trial.give_up("refused", f"{precision} is broken: {error}")
            except BadInput:
                raise  # the golden set, not the candidate
            except CoreError as error:
                trial.give_up("failed", f"{precision} cannot be used: {error}")
        return trials

    def _make(self, trial: Trial, source: Source, share: float) -> None:
        if trial.precision is Precision.INT8:
            images = len(source.calibration)
            self._tell("quantise", share, f"quantise with {images} calibration images")
        else:
            self._tell("convert", share, f"convert to {trial.precision}")
        self._builder.build(source, trial.precision, trial.path)
        trial.size_bytes = trial.path.stat().st_size
        self._sessions[trial.precision] = self._runtime.load(
            trial.path, source.manifest, self._options
        )

    def _judge(
        self, trial: Trial, materials: Materials, reference: parity.Evaluation, share: float
    ) -> None:
        session, name = self._sessions[trial.precision], str(trial.precision)
        artifact = parity.evaluate(session, materials.manifest, materials.golden)
        trial.parity = parity.compare(reference, artifact)
        self._tell("parity", share, parity.describe_share(name, trial.parity))
        if reason := parity.refuse_candidate(name, trial.parity, self._job.limits):
            trial.give_up("refused", reason)

    def _measure(self, trials: Sequence[Trial], materials: Materials) -> None:
        """Refused candidates are measured too: how much speed was given up is worth knowing."""
        judged = [trial for trial in trials if trial.parity is not None]
        if not judged:
            return
        self._tell("benchmark", _JUDGED_SHARE, f"{self._job.benchmark_runs} runs each, in turns")
        inputs = next(iter(Feed(materials.golden, materials.manifest, limit=1)))
        sessions = {trial.precision: self._sessions[trial.precision] for trial in judged}
        figures = bench(sessions, inputs, self._job.benchmark_runs)
        for trial in judged:
            trial.latency = figures[trial.precision]
        for session in self._sessions.values():
            session.close()
        for trial in judged:
            if trial.failure is None:
                self._weigh(trial, materials)

    def _weigh(self, trial: Trial, materials: Materials) -> None:
        profile = self._job.profile
        question = MemoryQuestion(
            artifact=str(trial.path),
            manifest=materials.manifest,
            runtime=profile.runtime,
            threads=profile.threads,
        )
        try:
            trial.peak_memory_bytes = measure_peak_memory(question)
        except CoreError as error:
            trial.give_up("failed", f"{trial.precision} cannot be used: {error}")

    def _conclude(self, trials: Sequence[Trial], materials: Materials) -> BuildOutcome:
        chosen = choose(trials)
        candidates = report(trials, chosen)
        if chosen is None:
            reason = "; ".join(candidate.reason for candidate in candidates)
            was_refused = any(trial.failure == "refused" for trial in trials)
            outcome: Literal["refused", "failed"] = "refused" if was_refused else "failed"
            return BuildOutcome(outcome=outcome, reason=reason, candidates=candidates)
        reason = next(c.reason for c in candidates if c.outcome == "chosen")
        self._tell("choose", 0.95, reason)
        data = chosen.path.read_bytes()
        path, digest = publish(data, Path(self._job.output_dir), self._builder.suffix)
        certificate = certify(
            self._job, chosen, digest, self._runtime.version(), self._builder.packages
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

    def _tell(self, step: Step, share: float, detail: str) -> None:
        self._share = share
        logger.info("%s: %s", step, detail)
        self._emit(BuildProgress(step=step, share=round(share, 3), detail=detail))
