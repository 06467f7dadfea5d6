"""What a new release or rollout begins with: an older one, and the version that is wanted."""

from __future__ import annotations

import re
from dataclasses import dataclass

from django.db.models import QuerySet

from server.lib.errors import NotFound
from server.registry.models import ModelVersion, Release

SHOWN_RELEASES = 100


@dataclass(frozen=True)
class Pin:
    """A model of a pipeline, the versions that it may be pinned to, and the one that is."""

    model: str
    versions: tuple[ModelVersion, ...]
    pinned: str
    before: str


def version_asked_for(number: str) -> ModelVersion | None:
    """The version of ``?version=``; None without it, NotFound where there is none."""
    if not number:
        return None
    is_number = number.isascii() and number.isdecimal() and len(number) < 19
    versions = ModelVersion.objects.select_related("model")
    found = versions.filter(pk=int(number)).first() if is_number else None
    if found is None:
        raise NotFound("There is no such version.")
    return found


def releases_with(version: ModelVersion | None) -> QuerySet[Release]:
    """Releases that pin ``version``, or all of them, the newest first."""
    return version.releases.all() if version else Release.objects.all()


def models_for(version: ModelVersion | None) -> list[Release]:
    """Releases that a new one with ``version`` could be made after, the newest first."""
    found = Release.objects.prefetch_related("versions__model")
    if version is not None:
        found = found.filter(versions__model=version.model_id).distinct()
    return list(found[:SHOWN_RELEASES])


def pins_of(release: Release, version: ModelVersion | None) -> list[Pin]:
    """What ``release`` pins, with ``version`` in the place of its model's."""
    pins = []
    for old in release.versions.select_related("model").order_by("model__name"):
        wanted = version if version and version.model_id == old.model_id else old
        choices = tuple(ModelVersion.objects.filter(model=old.model_id))
        pins.append(Pin(old.model.name, choices, wanted.version, old.version))
    return pins


def next_name(release: Release) -> str:
    """The name with its last number counted on, until nobody has it."""
    names = set(Release.objects.values_list("name", flat=True))
    stem, number = re.fullmatch(r"(.*?)(\d*)", release.name).groups()  # type: ignore[union-attr]
    count = int(number or 2)
    stem = stem if number else f"{stem}-"
    while f"{stem}{count}" in names or f"{stem}{count}" == release.name:
        count += 1
    return f"{stem}{count}"
