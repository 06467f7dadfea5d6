"""What a judge is: from the outputs for each picture to one figure for the set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from inference_core.contract.build import MetricName
from inference_core.datasets import Sample
from inference_core.image import Prepared
from inference_core.runtimes.base import Array


@dataclass(frozen=True)
class Reading:
    """What one picture gave."""

    answer: str
    """What a rule would see, for a person to read."""
    score: float
    """How sure the model was of it, 0 to 1."""
    evidence: Any = None
    """What the judge that made it computes its metric from."""
    truths: frozenset[str] = frozenset()
    """The classes that the picture's label names."""

    def agrees_with(self, other: Reading) -> bool:
        """Whether a rule would say the same of both."""
        return self.answer == other.answer


class Judge(Protocol):
    """Turns outputs into readings, and readings into the metric of its task."""

    metric: MetricName

    def read(self, sample: Sample, prepared: Prepared, outputs: Mapping[str, Array]) -> Reading:
        """One picture held against its label; ``DatasetError`` where the label is missing."""

    def measure(self, readings: Sequence[Reading]) -> float | None:
        """The metric over readings of this judge, 0 to 1; None where they cannot tell it."""

    def measure_classes(self, readings: Sequence[Reading]) -> dict[str, float]:
        """The metric by class; empty where the task has none."""
