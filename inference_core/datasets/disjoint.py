"""Keeps what calibrates apart from what judges."""

from __future__ import annotations

from inference_core.datasets.folder import Dataset
from inference_core.datasets.problem import DatasetError


class SharedImagesError(DatasetError):
    """A picture that calibrates would also judge: the figures would flatter the artifact."""


def check_disjoint(calibration: Dataset, golden: Dataset) -> None:
    """``SharedImagesError`` when both sets hold an image with the same bytes, by any name."""
    judges = {sample.image_sha256: sample.name for sample in golden.samples}
    shared = [sample for sample in calibration.samples if sample.image_sha256 in judges]
    if shared:
        first = shared[0]
        raise SharedImagesError(
            f"{len(shared)} calibration images are also golden images, first {first.name} = "
            f"{judges[first.image_sha256]}; take them out of the calibration set"
        )
