"""What a rule may ask of a stage: the names in an expression, and nothing else."""

from __future__ import annotations

from inference_core.contract.decoders import Decoder
from inference_core.contract.pipeline import Stage
from inference_core.contract.results import Counts, StageLatency, StageResult
from inference_core.pipeline.place_findings import (
    AnomalyFindings,
    BoxFindings,
    RegionFindings,
    TextBoxFindings,
)
from inference_core.pipeline.questions import Findings, Unanswerable
from inference_core.pipeline.word_findings import ClassFindings, CropClassFindings, TextFindings

__all__ = ["FINDINGS", "Findings", "Unanswerable", "find_nothing", "kinds_of", "present"]

NO_TIME = StageLatency(preprocess=0, infer=0, postprocess=0, total=0)

FINDINGS: dict[str, type[Findings]] = {
    "segment": RegionFindings,
    "anomaly": AnomalyFindings,
    "classify": ClassFindings,
    "ctc": TextFindings,
    "text_boxes": TextBoxFindings,
    **dict.fromkeys(("yolo", "end_to_end", "ssd", "listed", "detr", "grid"), BoxFindings),
}
"""By the kind of the decoder."""


def present(
    stage: Stage, result: StageResult, decoder: Decoder, mm_per_px: float | None
) -> Findings:
    """The result of a stage with this decoder, ready to be asked."""
    kind = FINDINGS[decoder.kind]
    if kind is ClassFindings and stage.crops_of is not None:
        kind = CropClassFindings
    labels: tuple[str, ...] | None = getattr(decoder, "labels", None)  # readers have none
    return kind(result, labels, mm_per_px)


def kinds_of(stage: Stage) -> list[type[Findings]]:
    """All that the stage's findings may be, as long as its model is not known."""
    kinds = dict.fromkeys(FINDINGS.values())
    if stage.crops_of is not None:
        kinds[CropClassFindings] = kinds.pop(ClassFindings)
    return list(kinds)


def find_nothing(stage: Stage, *, skipped: bool = False) -> StageResult:
    """The result of a stage that found nothing."""
    counts = None if stage.track is None else Counts()
    return StageResult(stage=stage.id, counts=counts, skipped=skipped, latency_ms=NO_TIME)
