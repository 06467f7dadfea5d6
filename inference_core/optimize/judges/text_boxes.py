"""Judges text detectors by the places that they find."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from inference_core.contract.build import MetricName
from inference_core.contract.decoders import TextBoxesDecoder
from inference_core.contract.manifest import ModelManifest
from inference_core.datasets import DatasetError, Sample
from inference_core.decode.lookup import decode
from inference_core.decode.shapes import decoder_of
from inference_core.image import Prepared
from inference_core.metrics import TextBoxCounts, count_text_boxes, measure_text_boxes
from inference_core.metrics.overlap import polygon_iou
from inference_core.optimize.judges.base import Reading
from inference_core.optimize.judges.places import UNDECIDED, Floats, PlacesReading
from inference_core.results import TextBoxes
from inference_core.runtimes.base import Array


def make(manifest: ModelManifest) -> TextBoxJudge:
    """A judge for the manifest."""
    return TextBoxJudge(manifest)


@dataclass(frozen=True)
class _Evidence:
    """What counts for F1, and the places near or above the threshold."""

    counts: TextBoxCounts
    polygons: tuple[Floats, ...]


class TextBoxJudge:
    """F1 at IoU 0.5. The answer is the places found, the score the best place's."""

    metric: MetricName = "text_f1"

    def __init__(self, manifest: ModelManifest) -> None:
        decoder = decoder_of(manifest, TextBoxesDecoder)
        self._threshold = decoder.box_threshold
        lenient = {"box_threshold": max(decoder.box_threshold - UNDECIDED, 0.0)}
        self._manifest = manifest.model_copy(update={"decoder": decoder.model_copy(update=lenient)})

    def read(self, sample: Sample, prepared: Prepared, outputs: Mapping[str, Array]) -> Reading:
        """One picture against its places of text."""
        if sample.text_boxes is None:
            raise DatasetError(f"{sample.name} has no text_boxes to judge a text detector by")
        found = decode(outputs, self._manifest, prepared.transform)
        if not isinstance(found, TextBoxes):
            raise TypeError(type(found))
        lead = found.score - self._threshold
        kept = tuple(found.polygons[index] for index in np.flatnonzero(lead >= 0))
        truth = [np.array(box.polygon, np.float64) for box in sample.text_boxes]
        return PlacesReading(
            answer=f"{len(kept)} places of text",
            score=float(found.score.max(initial=0.0)),
            evidence=_Evidence(count_text_boxes(truth, kept), found.polygons),
            lead=lead,
            overlap=_overlap,
        )

    def measure(self, readings: Sequence[Reading]) -> float:
        """F1 over all places."""
        return measure_text_boxes(reading.evidence.counts for reading in readings)

    def measure_classes(self, readings: Sequence[Reading]) -> dict[str, float]:
        """Places of text have no classes."""
        del readings
        return {}


def _overlap(ours: PlacesReading, theirs: PlacesReading) -> Floats:
    return polygon_iou(ours.evidence.polygons, theirs.evidence.polygons)
