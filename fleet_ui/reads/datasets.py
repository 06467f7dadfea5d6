"""Datasets: what is in them, who uses them, and which images they should not share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Count, QuerySet

from server.comparisons.models import Comparison
from server.datasets.labels import LabelCounts, count_labels
from server.datasets.models import DatasetItem, DatasetVersion
from server.datasets.selectors import datasets
from server.registry.models import ModelVersion, Release, VisionModel

SHOWN_PICTURES, MAX_PICTURE_BYTES = 12, 2_000_000
"""There are no thumbnails: a sheet of pictures that are larger would not load on a phone."""

_USERS = ("judges", "calibrates", "trained", "judges_releases")


@dataclass(frozen=True)
class DatasetRow:
    """A version of a dataset with its labels, and how many things use it."""

    dataset: DatasetVersion
    labels: LabelCounts | None
    users: int


@dataclass(frozen=True)
class Users:
    """Everything that rests on a dataset."""

    judged: tuple[VisionModel, ...]
    calibrated: tuple[VisionModel, ...]
    trained: tuple[ModelVersion, ...]
    releases: tuple[Release, ...]
    comparisons: int

    @property
    def is_nobody(self) -> bool:
        """Whether nothing does."""
        return not any((self.judged, self.calibrated, self.trained, self.releases))


def list_datasets(purpose: str = "") -> QuerySet[DatasetVersion]:
    """By name, each with its newest version first; all purposes or one."""
    found = datasets().order_by("name", "-pk")
    return found.filter(purpose=purpose) if purpose else found


def dataset_rows(found: Iterable[DatasetVersion]) -> list[DatasetRow]:
    """A page of them. The number of queries does not depend on its length."""
    shown = list(found)
    users = dict.fromkeys((dataset.pk for dataset in shown), 0)
    for name in _USERS:
        counted = DatasetVersion.objects.filter(pk__in=users).annotate(n=Count(name))
        for key, count in counted.values_list("pk", "n"):
            users[key] += count
    return [DatasetRow(one, count_labels(one), users[one.pk]) for one in shown]


def users_of(dataset: DatasetVersion) -> Users:
    """Who uses it for what."""
    return Users(
        judged=tuple(dataset.judges.all()),
        calibrated=tuple(dataset.calibrates.all()),
        trained=tuple(dataset.trained.select_related("model")),
        releases=tuple(dataset.judges_releases.order_by("-counter")),
        comparisons=Comparison.objects.filter(dataset=dataset).count(),
    )


def contact_sheet(dataset: DatasetVersion) -> list[DatasetItem]:
    """Its first pictures; none where they are large."""
    if dataset.length > MAX_PICTURE_BYTES * max(1, dataset.image_count):
        return []
    return list(dataset.items.all()[:SHOWN_PICTURES])
