"""Reads of datasets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from django.db.models import QuerySet

from inference_core.contract.dataset import LABELS_FILE
from server.datasets.models import DatasetItem, DatasetVersion
from server.lib import blobs
from server.lib.errors import NotFound


def datasets() -> QuerySet[DatasetVersion]:
    """All versions of all datasets."""
    return DatasetVersion.objects.all()


def dataset_version(name: str, version: str) -> DatasetVersion:
    """One version; NotFound where there is none."""
    dataset = DatasetVersion.objects.filter(name=name, version=version).first()
    if dataset is None:
        raise NotFound(f"There is no dataset {name!r} in version {version!r}.")
    return dataset


def shared_images(one: DatasetVersion, other: DatasetVersion) -> list[str]:
    """Paths in ``one`` of images that ``other`` has too, by content and by any name."""
    digests = other.items.values("image_sha256")
    shared = one.items.filter(image_sha256__in=digests)
    return list(shared.order_by("image").values_list("image", flat=True))


def materialise(dataset: DatasetVersion, folder: Path) -> None:
    """Write the dataset as a folder, byte for byte as it was uploaded; ``folder`` must be new."""
    folder.mkdir(parents=True)
    for name, sha256 in _files(dataset):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():  # two images may share a mask
            blobs.copy(sha256, path)


def _files(dataset: DatasetVersion) -> Iterator[tuple[str, str]]:
    yield LABELS_FILE, dataset.labels_sha256
    for item in DatasetItem.objects.filter(dataset=dataset).iterator():
        yield item.image, item.image_sha256
        if item.mask:
            yield item.mask, item.mask_sha256
