"""What stages found, and where two passes differ, in words for a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from inference_core.contract.golden import StageDifference
from inference_core.contract.pipeline import PipelineSpec
from inference_core.contract.results import Counts, RegionResult, StageResult

_MAX_WORDS = 300


def describe_stage(result: StageResult) -> str:
    """For example "2 scratch, the largest 1.52 mm²", or "'TDA1517P'"."""
    if result.fault is not None:
        return f"failed: {result.fault}"
    if result.skipped:
        return "skipped"
    parts = [
        *(repr(line.text) for line in result.lines),
        *(f"{one.label} ({one.score:.2f})" for one in result.classes[:1]),
        *_count(box.label for box in result.boxes),
        *_describe_regions(result.regions),
        *([f"{len(result.text_boxes)} places of text"] if result.text_boxes else []),
        *([] if result.anomaly_score is None else [f"anomaly {result.anomaly_score:.3f}"]),
        *([] if result.counts is None else [_describe_counts(result.counts)]),
    ]
    return ", ".join(parts)[:_MAX_WORDS] or "nothing"


def find_differences(
    spec: PipelineSpec,
    reasons: tuple[Iterable[str], Iterable[str]],
    found: tuple[dict[str, str], dict[str, str]],
) -> tuple[StageDifference, ...]:
    """The stages behind another verdict: those that a rule speaks of which is judged otherwise.

    Where none of those found anything else, all that did.
    """
    one, other = (set(side) for side in reasons)
    blamed = {
        stage
        for rule in spec.rules
        if any(reason.startswith(rule.because) for reason in one ^ other)
        for stage in rule.stages
    }
    reference, artifact = found
    differing = [name for name in reference if reference[name] != artifact[name]]
    named = [name for name in differing if name in blamed] or differing
    return tuple(
        StageDifference(stage=name, reference=reference[name], artifact=artifact[name])
        for name in named
    )


def _count(labels: Iterable[str]) -> list[str]:
    return [f"{count} {label}" for label, count in sorted(Counter(labels).items())]


def _describe_regions(regions: tuple[RegionResult, ...]) -> list[str]:
    if not regions:
        return []
    largest = max(regions, key=lambda one: one.area_px)
    size = (
        f"{largest.area_px:.0f} px" if largest.area_mm2 is None else f"{largest.area_mm2:.3f} mm²"
    )
    return [*_count(region.label for region in regions), f"the largest {size}"]


def _describe_counts(counts: Counts) -> str:
    entered, left, inside = (
        sum(one.values()) for one in (counts.entered, counts.left, counts.inside)
    )
    return f"{entered} entered, {left} left, {inside} inside"
