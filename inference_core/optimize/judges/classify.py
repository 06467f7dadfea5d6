"""Judges classifiers by the class that came first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from inference_core.contract.build import MetricName
from inference_core.contract.manifest import ModelManifest
from inference_core.datasets import DatasetError, Sample
from inference_core.decode.lookup import decode
from inference_core.image import Prepared
from inference_core.metrics import recall_by_class, top_k_accuracy
from inference_core.optimize.judges.base import Reading
from inference_core.optimize.judges.labels import require_known
from inference_core.results import Classes
from inference_core.runtimes.base import Array


def make(manifest: ModelManifest) -> ClassJudge:
    """A judge for the manifest."""
    return ClassJudge(manifest)


class ClassJudge:
    """Top-1 accuracy, and recall by class. The answer is the first class, the score its own."""

    metric: MetricName = "accuracy"

    def __init__(self, manifest: ModelManifest) -> None:
        self._manifest = manifest

    def read(self, sample: Sample, prepared: Prepared, outputs: Mapping[str, Array]) -> Reading:
        """One picture against its class."""
        if sample.label is None:
            raise DatasetError(f"{sample.name} has no label to judge a classifier by")
        require_known(sample.label, self._manifest, sample)
        found = decode(outputs, self._manifest, prepared.transform)
        if not isinstance(found, Classes):
            raise TypeError(type(found))
        answer = found.labels[found.class_id[0]] if len(found) else ""
        score = float(found.score[0]) if len(found) else 0.0
        return Reading(
            answer=answer,
            score=score,
            evidence=(sample.label, answer),
            truths=frozenset({sample.label}),
        )

    def measure(self, readings: Sequence[Reading]) -> float:
        """Share of pictures whose class came first."""
        return top_k_accuracy(*_split(readings))

    def measure_classes(self, readings: Sequence[Reading]) -> dict[str, float]:
        """Recall of each class in the set."""
        return recall_by_class(*_split(readings))


def _split(readings: Sequence[Reading]) -> tuple[list[str], list[list[str]]]:
    """Truths, and rankings of one."""
    return [r.evidence[0] for r in readings], [[r.evidence[1]] for r in readings]
