"""Input tensors made from the pictures of a dataset, one at a time."""

from __future__ import annotations

from collections.abc import Iterator

from inference_core.contract.manifest import ModelManifest
from inference_core.datasets import Dataset
from inference_core.image import prepare, read_picture
from inference_core.runtimes.base import Array

MAX_CALIBRATION_IMAGES = 300
"""More do not move the ranges; NNCF takes the same number by default."""


class Feed:
    """The first pictures of a dataset as ``{input name: tensor}``; may be iterated again."""

    def __init__(
        self, dataset: Dataset, manifest: ModelManifest, limit: int = MAX_CALIBRATION_IMAGES
    ) -> None:
        self._samples = dataset.samples[:limit]
        self._manifest = manifest

    def __len__(self) -> int:
        return len(self._samples)

    def __iter__(self) -> Iterator[dict[str, Array]]:
        name = self._manifest.inputs[0].name
        for sample in self._samples:
            yield {name: prepare(read_picture(sample.image), self._manifest).tensor}
