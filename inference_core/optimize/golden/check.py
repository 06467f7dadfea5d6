"""Runs a check: every golden case with the reference, then with the artifacts, side by side."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from inference_core.contract.golden import (
    MAX_TOLD_CASES,
    PipelineJob,
    PipelineOutcome,
    PipelineProgress,
)
from inference_core.errors import BadInput
from inference_core.optimize.golden.cases import Batch, plan_batches
from inference_core.optimize.golden.certificate import certify_pipeline
from inference_core.optimize.golden.judging import (
    Judged,
    Models,
    artifact_models,
    judge,
    reference_models,
)
from inference_core.optimize.golden.verdicts import (
    Pair,
    find_unanswered,
    pair_up,
    refuse_differing,
    refuse_fault,
)
from inference_core.optimize.materials import hash_file

Emit = Callable[[PipelineProgress], None]
_TOLD_EVERY = 16


def run_check(job: PipelineJob, emit: Emit) -> PipelineOutcome:
    """Judge, compare, certify.

    Raises ``BadInput`` where the job does not describe what lies on the disk or no picture can
    judge, ``LoadFailed`` and ``RuntimeUnavailable``; what differs is told of in the outcome.
    """
    _verify(job)
    batches, unused = plan_batches(job)
    passes = _Passes(job, batches, emit)
    with reference_models(job) as models:
        reference = passes.judge("reference", models)
    with artifact_models(job) as models:
        artifact = passes.judge("artifacts", models)
    return _conclude(job, pair_up(batches, reference, artifact), unused)


def _verify(job: PipelineJob) -> None:
    for model in job.models.values():
        for path, sha256 in (
            (model.source_path, model.source_sha256),
            (model.artifact_path, model.artifact_sha256),
        ):
            if hash_file(Path(path)) != sha256:
                raise BadInput(f"{path} is not the file with digest {sha256}")


class _Passes:
    """Both passes, and how far they are."""

    def __init__(self, job: PipelineJob, batches: list[Batch], emit: Emit) -> None:
        self._job, self._batches, self._emit = job, batches, emit
        self._cases = sum(len(batch.samples) for batch in batches)
        self._begun = 0

    def judge(self, who: str, models: Models) -> list[Judged]:
        """One pass."""

        def tell(done: int) -> None:
            if done == self._cases or done % _TOLD_EVERY == 0:
                share = (self._begun + done) / (2 * self._cases)
                detail = f"{who}: {done} of {self._cases} golden cases judged"
                self._emit(PipelineProgress(share=round(share, 3), detail=detail))

        judged = judge(self._batches, models, self._job.mm_per_px, tell)
        self._begun += self._cases
        return judged


def _conclude(job: PipelineJob, pairs: list[Pair], unused: list[str]) -> PipelineOutcome:
    if fault := refuse_fault(pairs):
        return PipelineOutcome(outcome="refused", reason=fault, cases=len(pairs))
    if (rule := find_unanswered(pairs)) is not None:
        reason = (
            f"the rule {rule.fail!r} can be evaluated on no golden picture, so nothing is known of "
            "it; where it asks for mm, give the profile's cameras or the release's golden cases "
            "their mm_per_px"
        )
        return PipelineOutcome(outcome="failed", reason=reason, cases=len(pairs))
    if difference := refuse_differing(pairs):
        differing = [pair.to_case() for pair in pairs if not pair.agrees]
        return PipelineOutcome(
            outcome="refused",
            reason=difference,
            cases=len(pairs),
            differing=tuple(differing[:MAX_TOLD_CASES]),
            differing_count=len(differing),
        )
    certificate = certify_pipeline(job, pairs, unused)
    return PipelineOutcome(
        outcome="succeeded",
        reason=f"{len(pairs)} golden cases are judged as by the reference",
        cases=len(pairs),
        certificate=certificate,
    )
