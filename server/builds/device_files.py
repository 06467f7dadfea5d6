"""Datasets as a lease names them: every file by its path and digest."""

from __future__ import annotations

from inference_core.contract.device_build import BuildFile, BuildSet
from server.datasets.models import DatasetVersion
from server.datasets.selectors import files_of
from server.lib.errors import Conflict

MAX_SET_IMAGES = 9000
"""Each may have a mask; a lease names every file."""


def why_too_large(*datasets: DatasetVersion) -> str:
    """Why no lease can name one of these sets, as a sentence; empty where each can be."""
    for dataset in datasets:
        if dataset.image_count > MAX_SET_IMAGES:
            return (
                f"{dataset} has {dataset.image_count} images, and a device works with "
                f"{MAX_SET_IMAGES} at most: let builders build for this profile."
            )
    return ""


def set_of(dataset: DatasetVersion) -> BuildSet:
    """The files of ``dataset``; Conflict where they are too many."""
    if why := why_too_large(dataset):
        raise Conflict(why)
    files = tuple(BuildFile(path=path, sha256=sha256) for path, sha256 in files_of(dataset))
    return BuildSet(sha256=dataset.sha256, length=dataset.length, files=files)
