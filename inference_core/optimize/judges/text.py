"""Judges text recognisers by the characters that need no correction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from inference_core.contract.build import MetricName
from inference_core.contract.manifest import ModelManifest
from inference_core.datasets import DatasetError, Sample
from inference_core.decode.lookup import decode
from inference_core.image import Prepared
from inference_core.metrics import character_accuracy
from inference_core.optimize.judges.base import Reading
from inference_core.results import TextLines
from inference_core.runtimes.base import Array


def make(manifest: ModelManifest) -> TextJudge:
    """A judge for the manifest, whose alphabet must be resolved."""
    return TextJudge(manifest)


class TextJudge:
    """Character accuracy of one line a picture; the score is the line's mean probability."""

    metric: MetricName = "character_accuracy"

    def __init__(self, manifest: ModelManifest) -> None:
        self._manifest = manifest

    def read(self, sample: Sample, prepared: Prepared, outputs: Mapping[str, Array]) -> Reading:
        """One picture against its text."""
        if sample.text is None:
            raise DatasetError(f"{sample.name} has no text to judge a text recogniser by")
        found = decode(outputs, self._manifest, prepared.transform)
        if not isinstance(found, TextLines):
            raise TypeError(type(found))
        text = found.text[0] if len(found) else ""
        score = float(found.score[0]) if len(found) else 0.0
        return Reading(answer=text, score=score, evidence=(sample.text, text))

    def measure(self, readings: Sequence[Reading]) -> float:
        """Character accuracy, the edits of all lines pooled."""
        return character_accuracy(reading.evidence for reading in readings)

    def measure_classes(self, readings: Sequence[Reading]) -> dict[str, float]:
        """Text has no classes."""
        del readings
        return {}
