"""Reads of models and releases."""

from __future__ import annotations

from django.db.models import QuerySet

from server.lib.errors import NotFound
from server.registry.models import ModelVersion, Release, VisionModel


def models() -> QuerySet[VisionModel]:
    """All models with their sets and versions."""
    return VisionModel.objects.select_related("golden", "calibration").prefetch_related("versions")


def model(name: str) -> VisionModel:
    """One model; NotFound where there is none."""
    row = models().filter(name=name).first()
    if row is None:
        raise NotFound(f"There is no model {name!r}.")
    return row


def model_version(name: str, version: str) -> ModelVersion:
    """One version of a model; NotFound where there is none."""
    row = (
        ModelVersion.objects.select_related("model__golden", "model__calibration")
        .filter(model__name=name, version=version)
        .first()
    )
    if row is None:
        raise NotFound(f"There is no version {version!r} of a model {name!r}.")
    return row


def releases() -> QuerySet[Release]:
    """All releases with the versions that they pin."""
    return Release.objects.select_related("golden").prefetch_related("versions__model")


def release(name: str) -> Release:
    """One release; NotFound where there is none."""
    row = releases().filter(name=name).first()
    if row is None:
        raise NotFound(f"There is no release {name!r}.")
    return row


def pinned_versions(row: Release) -> dict[str, ModelVersion]:
    """The version that a release pins of each model, by the model's name."""
    versions = row.versions.all().select_related("model")
    return {version.model.name: version for version in versions}
