"""A candidate on its own runtime against the reference ONNX, both on the golden set."""

from __future__ import annotations

from dataclasses import dataclass, field

from inference_core.contract.build import MetricName, ParityFigures, ParityLimits
from inference_core.contract.manifest import ModelManifest
from inference_core.contract.parity import (
    METRIC_WORDS,
    describe_share,
    refuse_candidate,
    refuse_poor,
)
from inference_core.datasets import Dataset, DatasetError
from inference_core.decode.lookup import require_finite
from inference_core.image import prepare, read_picture
from inference_core.metrics import measure_slices
from inference_core.optimize.coverage import count_class_images
from inference_core.optimize.judges import Reading, make_judge
from inference_core.runtimes.base import Session

__all__ = [
    "Evaluation",
    "Reading",
    "compare",
    "describe_share",
    "evaluate",
    "refuse_candidate",
    "refuse_reference",
]


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
        words = METRIC_WORDS[judge.metric]
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
    return refuse_poor(reference.metric, reference.value, limits)
