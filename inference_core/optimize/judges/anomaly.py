"""Judges anomaly models by how well their scores tell bad parts from good ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from inference_core.contract.build import MetricName
from inference_core.contract.decoders import AnomalyDecoder
from inference_core.contract.manifest import ModelManifest
from inference_core.contract.words import VerdictWord
from inference_core.datasets import DatasetError, Sample
from inference_core.decode.lookup import decode
from inference_core.decode.shapes import decoder_of
from inference_core.image import Prepared
from inference_core.metrics import auroc
from inference_core.optimize.judges.base import Reading
from inference_core.optimize.judges.masks import read_mask
from inference_core.results import Anomaly
from inference_core.runtimes.base import Array


def make(manifest: ModelManifest) -> AnomalyJudge:
    """A judge for the manifest."""
    return AnomalyJudge(manifest)


class AnomalyJudge:
    """AUROC of the pictures' scores.

    A picture is bad by its verdict, or where it has none by a mask that is not empty. The answer
    is what the decoder's threshold makes of the score.
    """

    metric: MetricName = "auroc"

    def __init__(self, manifest: ModelManifest) -> None:
        self._manifest = manifest
        self._threshold = decoder_of(manifest, AnomalyDecoder).threshold

    def read(self, sample: Sample, prepared: Prepared, outputs: Mapping[str, Array]) -> Reading:
        """One picture against its verdict or its mask."""
        found = decode(outputs, self._manifest, prepared.transform)
        if not isinstance(found, Anomaly):
            raise TypeError(type(found))
        is_bad = _is_bad(sample)
        return Reading(
            answer="bad" if found.score >= self._threshold else "good",
            score=found.score,
            evidence=(is_bad, found.score),
            truths=frozenset({"bad" if is_bad else "good"}),
        )

    def measure(self, readings: Sequence[Reading]) -> float | None:
        """AUROC; None where all pictures are good, or all bad."""
        return auroc([r.evidence[0] for r in readings], [r.evidence[1] for r in readings])

    def measure_classes(self, readings: Sequence[Reading]) -> dict[str, float]:
        """One score has no classes."""
        del readings
        return {}


def _is_bad(sample: Sample) -> bool:
    if sample.verdict is not None:
        return sample.verdict is VerdictWord.FAIL
    if sample.mask is None:
        raise DatasetError(f"{sample.name} has neither verdict nor mask to judge an anomaly by")
    return bool(read_mask(sample, "an anomaly").any())
