"""A candidate on its own runtime against the reference ONNX, both on the golden set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from inference_core.contract.build import MetricName, ParityFigures, ParityLimits
from inference_core.contract.manifest import ModelManifest
from inference_core.datasets import Dataset, DatasetError
from inference_core.decode.lookup import require_finite
from inference_core.image import prepare, read_picture
from inference_core.metrics import measure_slices
from inference_core.optimize.coverage import count_class_images
from inference_core.optimize.judges import Reading, make_judge
from inference_core.runtimes.base import Session

_METRIC_WORDS: dict[str, str] = {
    "mean_iou": "mean IoU",
    "character_accuracy": "character accuracy",
    "map": "mAP",
    "accuracy": "accuracy",
    "auroc": "AUROC",
    "text_f1": "F1",
}
_CLASS_WORDS: dict[str, str] = {"mean_iou": "IoU", "map": "average precision", "accuracy": "recall"}
_CHANCE = {"auroc": 0.5}
"""What a coin reaches, where that is not 0."""


@dataclass(frozen=True)
class Evaluation:
    """One model on one labelled set."""

    metric: MetricName
    value: float
    per_class: dict[str, float]
    readings: tuple[Reading, ...]
    per_slice: dict[str, float] = field(default_factory=dict)
    """By ``name=value``; slices of fewer than ``MIN_SLICE_IMAGES`` images are left out."""


def evaluate(session: Session, manifest: ModelManifest, golden: Dataset) -> Evaluation:
    """Run every golden image. ``NotFinite`` for NaN or infinity in any output.

    ``DatasetError`` where the labels cannot judge such a model.
    """
    judge = make_judge(manifest)
    readings = []
    for sample in golden.samples:
        prepared = prepare(read_picture(sample.image), manifest)
        outputs = session.run({manifest.inputs[0].name: prepared.tensor})
        for name, output in outputs.items():
            require_finite(name, output)
        readings.append(judge.read(sample, prepared, outputs))
    value = judge.measure(readings)
    if value is None:
        words = _METRIC_WORDS[judge.metric]
        raise DatasetError(f"the labels of the golden set are too uniform to measure {words}")
    figures = measure_slices(readings, [one.slices for one in golden.samples], judge.measure)
    return Evaluation(
        metric=judge.metric,
        value=value,
        per_class=judge.measure_classes(readings),
        readings=tuple(readings),
        per_slice={name: one.value for name, one in figures.items() if one.value is not None},
    )


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
        per_slice={
            name: (value, artifact.per_slice.get(name, 0.0))
            for name, value in reference.per_slice.items()
        },
        score_shift=sum(abs(a.score - b.score) for a, b in pairs) / len(pairs),
        agreement=sum(a.agrees_with(b) for a, b in pairs) / len(pairs),
        images=len(pairs),
        class_images=count_class_images(reference.readings),
    )


def refuse_reference(reference: Evaluation, limits: ParityLimits) -> str | None:
    """Why nothing can be proven with this reference, or None."""
    chance = _CHANCE.get(reference.metric, 0.0)
    least = chance + (1 - chance) * limits.min_reference_metric
    if reference.value >= least:
        return None
    words = _METRIC_WORDS[reference.metric]
    return (
        f"the reference itself reaches {reference.value:.2f} {words} on the golden set; below "
        f"{least:.2f} a comparison proves nothing"
    )


def refuse_candidate(name: str, figures: ParityFigures, limits: ParityLimits) -> str | None:
    """The first limit that the candidate breaks, as a sentence; None where it keeps all."""
    kept = describe_share(name, figures)
    if figures.share < limits.min_metric_share:
        return f"{kept}; at least {limits.min_metric_share:.1%} is asked"
    if lost := _find_lost(figures.per_class, limits.min_class_share):
        label, kept_share = lost
        return (
            f"{name} kept {kept_share:.1%} of the {_CLASS_WORDS[figures.metric]} of {label}; "
            f"at least {limits.min_class_share:.1%} is asked of each class"
        )
    if lost := _find_lost(figures.per_slice, limits.min_slice_share):
        label, kept_share = lost
        return (
            f"{name} kept {kept_share:.1%} of {_METRIC_WORDS[figures.metric]} where {label}; "
            f"at least {limits.min_slice_share:.1%} is asked of each slice"
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


def _find_lost(
    figures: Mapping[str, tuple[float, float]], least: float
) -> tuple[str, float] | None:
    """The first class or slice that kept less than ``least``, and what it kept."""
    for name, (reference, artifact) in figures.items():
        if artifact < least * reference:
            return name, artifact / reference
    return None


def describe_share(name: str, figures: ParityFigures) -> str:
    """For example "int8 kept 93.1% of mean IoU (0.71 of 0.76)"."""
    words = _METRIC_WORDS[figures.metric]
    values = f"{figures.artifact:.3f} of {figures.reference:.3f}"
    return f"{name} kept {figures.share:.1%} of {words} ({values})"
