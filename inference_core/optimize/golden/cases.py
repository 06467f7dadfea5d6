"""Which golden pictures are judged, and by how much of the pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from inference_core.contract.golden import GoldenPictures, PipelineJob
from inference_core.contract.pipeline import PipelineSpec
from inference_core.datasets import Sample, read_dataset
from inference_core.errors import BadInput

Item = TypeVar("Item")


@dataclass(frozen=True)
class Batch:
    """Pictures of one golden set, and the pipeline that judges them."""

    golden: GoldenPictures
    spec: PipelineSpec
    samples: tuple[Sample, ...]
    images: int

    @property
    def name(self) -> str:
        """For people: "boards-golden 1"."""
        return f"{self.golden.name} {self.golden.version}"

    @property
    def is_whole(self) -> bool:
        """Whether the pictures are frames for the whole pipeline."""
        return self.golden.model is None


def plan_batches(job: PipelineJob) -> tuple[list[Batch], list[str]]:
    """What is to be judged, and a sentence for every set that can judge nothing.

    Raises ``BadInput`` where a set is not the one that the job names, or none can judge.
    """
    batches, unused = [], []
    for golden in job.golden:
        spec = job.pipeline if golden.model is None else job.pipeline.seen_by(golden.model)
        if spec is None:
            unused.append(
                f"{golden.name} {golden.version} shows what {golden.model} looks at, and no rule "
                "is over that alone: it judges nothing"
            )
        else:
            batches.append(_read(golden, spec))
    if not batches:
        raise BadInput(
            f"no golden picture can judge this pipeline: {'; '.join(unused)}; make the release "
            "with golden cases of its own, a golden set of whole frames"
        )
    return batches, unused


def _read(golden: GoldenPictures, spec: PipelineSpec) -> Batch:
    dataset = read_dataset(Path(golden.folder))
    if dataset.sha256 != golden.sha256:
        raise BadInput(f"the set in {golden.folder} is not the one with digest {golden.sha256}")
    samples = tuple(spread(dataset.samples, golden.max_cases))
    return Batch(golden, spec, samples, len(dataset.samples))


def spread(items: Sequence[Item], most: int) -> list[Item]:
    """At most ``most`` of them, evenly from the first on, and always the same."""
    if len(items) <= most:
        return list(items)
    return [items[number * len(items) // most] for number in range(most)]
