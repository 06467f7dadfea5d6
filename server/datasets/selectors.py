"""Reads of datasets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from django.db.models import Count, Q, QuerySet

from inference_core.contract.dataset import LABELS_FILE
from server.datasets.models import DatasetItem, DatasetVersion, Purpose
from server.lib import blobs
from server.lib.errors import NotFound

_KEEPS_APART = {
    Purpose.GOLDEN: [Purpose.CALIBRATION, Purpose.TRAINING],
    Purpose.CALIBRATION: [Purpose.GOLDEN],
    Purpose.TRAINING: [Purpose.GOLDEN],
}


@dataclass(frozen=True)
class Overlap:
    """Another dataset that has ``images`` images of this one, and should have none."""

    dataset: DatasetVersion
    images: int


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


def overlaps_of(dataset: DatasetVersion) -> list[Overlap]:
    """Sets with images of ``dataset`` that judge what it trains or calibrates, or the reverse."""
    mine = dataset.items.values("image_sha256")
    apart = DatasetItem.objects.filter(
        image_sha256__in=mine, dataset__purpose__in=_KEEPS_APART[Purpose(dataset.purpose)]
    )
    per_set = apart.order_by().values_list("dataset")
    found = dict(per_set.annotate(n=Count("image_sha256", distinct=True)))
    others = DatasetVersion.objects.filter(pk__in=found).order_by("name", "-pk")
    return [Overlap(other, found[other.pk]) for other in others]


def materialise(dataset: DatasetVersion, folder: Path) -> None:
    """Write the dataset as a folder, byte for byte as it was uploaded; ``folder`` must be new."""
    folder.mkdir(parents=True)
    for name, sha256 in files_of(dataset):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():  # two images may share a mask
            blobs.copy(sha256, path)


def files_of(dataset: DatasetVersion) -> Iterator[tuple[str, str]]:
    """Path and digest of every file, the labels first; two images may share a mask."""
    yield LABELS_FILE, dataset.labels_sha256
    for item in DatasetItem.objects.filter(dataset=dataset).iterator():
        yield item.image, item.image_sha256
        if item.mask:
            yield item.mask, item.mask_sha256


def holds_file(datasets: Sequence[DatasetVersion], sha256: str) -> bool:
    """Whether one of ``datasets`` has a file with this digest."""
    if sha256 in {dataset.labels_sha256 for dataset in datasets}:
        return True
    named = Q(image_sha256=sha256) | Q(mask_sha256=sha256)
    return DatasetItem.objects.filter(named, dataset__in=datasets).exists()
