"""Both passes side by side: cases, truth, and why a release is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from inference_core.contract.golden import PipelineCase, TruthFigures
from inference_core.contract.pipeline import Rule
from inference_core.contract.words import VerdictWord
from inference_core.datasets import Sample
from inference_core.optimize.golden.cases import Batch
from inference_core.optimize.golden.judging import Judged
from inference_core.optimize.golden.words import find_differences
from inference_core.pipeline.rules import is_unanswered


@dataclass(frozen=True)
class Pair:
    """One picture, and what both passes said of it."""

    batch: Batch
    sample: Sample
    reference: Judged
    artifact: Judged

    @property
    def agrees(self) -> bool:
        """Whether a part would fare the same."""
        return self.reference.verdict == self.artifact.verdict

    def to_case(self) -> PipelineCase:
        """For the certificate; explained where the verdicts differ."""
        case = PipelineCase(
            golden=self.batch.name,
            image=self.sample.name,
            model=self.batch.golden.model,
            expected=self.sample.verdict if self.batch.is_whole else None,
            reference=self.reference.verdict,
            artifact=self.artifact.verdict,
        )
        return case if self.agrees else self._explain(case)

    def _explain(self, case: PipelineCase) -> PipelineCase:
        reasons = (self.reference.reasons, self.artifact.reasons)
        found = (self.reference.found, self.artifact.found)
        return case.model_copy(
            update={
                "reference_reasons": reasons[0],
                "artifact_reasons": reasons[1],
                "stages": find_differences(self.batch.spec, reasons, found),
            }
        )


def pair_up(
    batches: Sequence[Batch], reference: Sequence[Judged], artifact: Sequence[Judged]
) -> list[Pair]:
    """Both passes went over the same cases in the same order."""
    cases = [(batch, sample) for batch in batches for sample in batch.samples]
    return [
        Pair(batch, sample, one, other)
        for (batch, sample), one, other in zip(cases, reference, artifact, strict=True)
    ]


def find_unanswered(pairs: Sequence[Pair]) -> Rule | None:
    """The first rule that could be evaluated on no picture: nothing is known of it."""
    rules = {rule.fail: rule for pair in pairs for rule in pair.batch.spec.rules}
    for rule in rules.values():
        asked = [pair for pair in pairs if rule in pair.batch.spec.rules]
        if all(is_unanswered(rule, pair.reference.reasons) for pair in asked):
            return rule
    return None


def refuse_fault(pairs: Sequence[Pair]) -> str | None:
    """A model that fails on a golden picture, as a sentence; None where all work."""
    for pair in pairs:
        for judged, who in ((pair.reference, "reference"), (pair.artifact, "artifact")):
            if judged.is_fault:
                why = "; ".join(judged.reasons)
                return f"{pair.batch.name}, {pair.sample.name}: the {who} itself fails: {why}"
    return None


def refuse_differing(pairs: Sequence[Pair]) -> str | None:
    """How many cases are judged otherwise, and the first of them; None where none is."""
    differing = [pair for pair in pairs if not pair.agrees]
    if not differing:
        return None
    first = describe_case(differing[0].to_case())
    return f"{len(differing)} of {len(pairs)} golden cases are judged otherwise: {first}"


def describe_case(case: PipelineCase) -> str:
    """For example "boards 1, images/17.jpg: FAIL instead of PASS (scratched; defects: …)"."""
    reasons = case.artifact_reasons or case.reference_reasons
    stages = [f"{s.stage}: {s.artifact} instead of {s.reference}" for s in case.stages]
    verdicts = f"{case.artifact.value.upper()} instead of {case.reference.value.upper()}"
    return f"{case.golden}, {case.image}: {verdicts} ({'; '.join([*reasons, *stages])})"


def measure_truth(pairs: Sequence[Pair]) -> TruthFigures:
    """How many of the labelled whole frames were judged as a person did."""
    labelled = [pair for pair in pairs if pair.batch.is_whole and pair.sample.verdict is not None]
    return TruthFigures(
        labelled=len(labelled),
        reference_right=sum(p.reference.verdict == p.sample.verdict for p in labelled),
        artifact_right=sum(p.artifact.verdict == p.sample.verdict for p in labelled),
    )


def warn_of(pairs: Sequence[Pair]) -> list[str]:
    """What the cases do not show."""
    said = {pair.reference.verdict for pair in pairs}
    warnings = []
    if VerdictWord.FAIL not in said:
        warnings.append("no golden case fails, so none shows that a bad part still would")
    if VerdictWord.PASS not in said:
        warnings.append("no golden case passes, so none shows that a good part still would")
    if not any(pair.batch.is_whole for pair in pairs):
        warnings.append("no golden case is a whole frame: the stages were judged one by one")
    return warnings
