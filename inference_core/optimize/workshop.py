"""One runtime's part of a build: makes its precisions, loads them, holds each to parity."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from inference_core.contract.build import BuildJob, BuildProgress
from inference_core.contract.recipe import BuildRecipe, key_of
from inference_core.contract.words import Precision
from inference_core.errors import BadInput, CoreError, NotFinite, NotNow, RuntimeUnavailable
from inference_core.optimize import parity
from inference_core.optimize.builders.base import Source
from inference_core.optimize.convert import get_builder
from inference_core.optimize.feed import Feed
from inference_core.optimize.fitting import require_builder_fits
from inference_core.optimize.materials import Materials
from inference_core.optimize.memory import MemoryQuestion, measure_peak_memory
from inference_core.optimize.recipe import describe_build, hash_manifest
from inference_core.optimize.select import Trial
from inference_core.runtimes.base import Session, SessionOptions
from inference_core.runtimes.lookup import get_runtime

logger = logging.getLogger(__name__)

Emit = Callable[[BuildProgress], None]
Step = Literal["simplify", "quantise", "convert", "benchmark", "parity", "choose"]


class CannotRunHere(RuntimeUnavailable):
    """An artifact for hardware that this machine does not have."""


class Log:
    """Tells how far a build is; ``share`` holds until it is set anew."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self.share = 0.0

    def tell(
        self,
        step: Step,
        detail: str,
        share: float | None = None,
        recipe: BuildRecipe | None = None,
    ) -> None:
        """One line of the live log."""
        self.share = self.share if share is None else share
        logger.info("%s: %s", step, detail)
        event = BuildProgress(step=step, share=round(self.share, 3), detail=detail, recipe=recipe)
        self._emit(event)


class Workshop:
    """The candidates of one job, which differ in their precision only.

    Raises ``RuntimeUnavailable`` where the runtime is not here, or nothing builds for it.
    """

    def __init__(self, job: BuildJob, folder: Path, log: Log, *, is_one_of_several: bool) -> None:
        self.job = job
        self.builder = get_builder(job.profile.runtime)
        self.runtime = get_runtime(job.profile.runtime)
        require_builder_fits(job.profile, self.runtime)
        self.sessions: dict[str, Session] = {}
        """Of the trials that load, by name."""
        runtime = job.profile.runtime if is_one_of_several else None
        stem = f"{job.profile.runtime}-"
        self.trials = [
            Trial(precision, folder / f"{stem}{precision}{self.builder.suffix}", runtime)
            for precision in job.profile.precisions
        ]
        self._log = log
        self._options = SessionOptions(
            threads=job.profile.threads, compute_device=job.profile.compute_device
        )

    def tell_recipe(self) -> None:
        """Say what the outcome depends on, before anything is done for it."""
        recipe = describe_build(self.job, self.builder, self.runtime)
        self._log.tell("simplify", f"engine key {key_of(recipe)}", 0.0, recipe)

    def make_trials(
        self, folded: Path, materials: Materials, reference: parity.Evaluation
    ) -> Iterator[Trial]:
        """Makes and judges one trial after the other; what breaks is told of in the trial."""
        source = self._describe_source(folded, materials)
        for trial in self.trials:
            try:
                self._make(trial, source)
                self._judge(trial, materials, reference)
            except NotFinite as error:
                trial.give_up("refused", f"{trial.name} is broken: {error}")
            except (BadInput, NotNow):
                raise  # the golden set or the disk, not the candidate
            except CannotRunHere as error:
                trial.give_up("failed", str(error))
            except CoreError as error:
                trial.give_up("failed", f"{trial.name} cannot be used: {error}")
            yield trial

    def weigh(self, trial: Trial, materials: Materials) -> None:
        """Memory of the trial in a process of its own; the sessions must be closed by now."""
        question = MemoryQuestion(
            artifact=str(trial.path),
            manifest=materials.manifest,
            runtime=self.job.profile.runtime,
            threads=self.job.profile.threads,
            compute_device=self.job.profile.compute_device,
        )
        try:
            trial.peak_memory_bytes = measure_peak_memory(question)
        except CoreError as error:
            trial.give_up("failed", f"{trial.name} cannot be used: {error}")

    def close(self) -> None:
        """Gives the memory of all sessions back."""
        for session in self.sessions.values():
            session.close()

    def _describe_source(self, folded: Path, materials: Materials) -> Source:
        profile = self.job.profile
        return Source(
            folded=folded,
            manifest=materials.manifest,
            calibration=Feed(materials.calibration, materials.manifest),
            architecture=profile.architecture,
            model=materials.model,
            source_sha256=self.job.source_sha256,
            manifest_sha256=hash_manifest(self.job),
            calibration_sha256=self.job.calibration_sha256,
            tensorrt=profile.tensorrt,
            accelerator=profile.accelerator,
            tell=lambda detail: self._log.tell("convert", detail),
        )

    def _make(self, trial: Trial, source: Source) -> None:
        if trial.precision is Precision.INT8:
            images = len(source.calibration)
            self._log.tell("quantise", f"{trial.name}: quantise with {images} calibration images")
        else:
            self._log.tell("convert", f"convert to {trial.name}")
        self.builder.build(source, trial.precision, trial.path)
        trial.size_bytes = trial.path.stat().st_size
        try:
            session = self.runtime.load(trial.path, source.manifest, self._options)
        except RuntimeUnavailable as error:
            raise CannotRunHere(
                f"{trial.name} was built, but cannot be run here, so it is not certified: {error}; "
                f"let the builder of {self.job.profile.name} work on that hardware"
            ) from error
        self.sessions[trial.name] = session

    def _judge(self, trial: Trial, materials: Materials, reference: parity.Evaluation) -> None:
        session = self.sessions[trial.name]
        artifact = parity.evaluate(session, materials.manifest, materials.golden)
        trial.parity = parity.compare(reference, artifact)
        self._log.tell("parity", parity.describe_share(trial.name, trial.parity))
        if reason := parity.refuse_candidate(trial.name, trial.parity, self.job.limits):
            trial.give_up("refused", reason)
