"""A candidate on its own runtime against the reference ONNX, both on the golden set."""

from __future__ import annotations

from dataclasses import dataclass

from inference_core.contract.build import MetricName, ParityFigures, ParityLimits
from inference_core.contract.manifest import ModelManifest
from inference_core.datasets import Dataset
from inference_core.decode.lookup import require_finite
from inference_core.image import prepare, read_picture
from inference_core.optimize.judges import Reading, make_judge
from inference_core.runtimes.base import Session

_METRIC_WORDS: dict[str, str] = {
    "mean_iou": "mean IoU",
    "character_accuracy": "character accuracy",
}


@dataclass(frozen=True)
class Evaluation:
    """One model on one labelled set."""

    metric: MetricName
    value: float
    per_class: dict[str, float]
    readings: tuple[Reading, ...]


def evaluate(session: Session, manifest: ModelManifest, golden: Dataset) -> Evaluation:
    """Run every golden image. ``NotFinite`` for NaN or infinity in any output."""
    judge = make_judge(manifest)
    readings = []
    for sample in golden.samples:
        prepared = prepare(read_picture(sample.image), manifest)
        outputs = session.run({manifest.inputs[0].name: prepared.tensor})
        for name, output in outputs.items():
            require_finite(name, output)
        readings.append(judge.add(sample, prepared, outputs))
    return Evaluation(judge.metric, judge.value(), judge.per_class(), tuple(readings))


def compare(reference: Evaluation, artifact: Evaluation) -> ParityFigures:
    """The figures of a certificate; both evaluations are of the same images in the same order."""
    pairs = list(zip(reference.readings, artifact.readings, strict=True))
    return ParityFigures(
        metric=reference.metric,
        reference=reference.value,
        artifact=artifact.value,
        share=artifact.value / reference.value if reference.value else 0.0,
        per_class={
            label: (value, artifact.per_class.get(label, 0.0))
            for label, value in reference.per_class.items()
        },
        score_shift=sum(abs(a.score - b.score) for a, b in pairs) / len(pairs),
        agreement=sum(a.answer == b.answer for a, b in pairs) / len(pairs),
        images=len(pairs),
    )


def refuse_reference(reference: Evaluation, limits: ParityLimits) -> str | None:
    """Why nothing can be proven with this reference, or None."""
    if reference.value >= limits.min_reference_metric:
        return None
    words = _METRIC_WORDS[reference.metric]
    return (
        f"the reference itself reaches {reference.value:.2f} {words} on the golden set; below "
        f"{limits.min_reference_metric:.2f} a comparison proves nothing"
    )


def refuse_candidate(name: str, figures: ParityFigures, limits: ParityLimits) -> str | None:
    """The first limit that the candidate breaks, as a sentence; None where it keeps all."""
    kept = describe_share(name, figures)
    if figures.share < limits.min_metric_share:
        return f"{kept}; at least {limits.min_metric_share:.1%} is asked"
    for label, (reference, artifact) in figures.per_class.items():
        if artifact < limits.min_class_share * reference:
            return (
                f"{name} kept {artifact / reference:.1%} of the IoU of {label}; at least "
                f"{limits.min_class_share:.1%} is asked of each class"
            )
    if figures.agreement < limits.min_agreement:
        # One letter in eight hardly moves the mean, and makes every such part fail.
        return (
            f"{kept}, but gave the same answer on {figures.agreement:.1%} of {figures.images} "
            f"golden images; at least {limits.min_agreement:.1%} is asked"
        )
    if figures.score_shift > limits.max_score_shift:
        return (
            f"{name} moved the scores by {figures.score_shift:.3f} on average; at most "
            f"{limits.max_score_shift:.3f} is allowed"
        )
    return None


def describe_share(name: str, figures: ParityFigures) -> str:
    """For example "int8 kept 93.1% of mean IoU (0.71 of 0.76)"."""
    words = _METRIC_WORDS[figures.metric]
    values = f"{figures.artifact:.3f} of {figures.reference:.3f}"
    return f"{name} kept {figures.share:.1%} of {words} ({values})"
