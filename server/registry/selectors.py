"""Reads of models, versions, aliases and releases."""

from __future__ import annotations

from django.db.models import QuerySet
from django.db.models.fields.json import KeyTransform

from server.lib.errors import NotFound
from server.registry.models import (
    Alias,
    AliasMove,
    LimitsChange,
    ModelImport,
    ModelVersion,
    Release,
    VisionModel,
)


def models() -> QuerySet[VisionModel]:
    """All models with their sets and versions."""
    return VisionModel.objects.select_related("golden", "calibration").prefetch_related("versions")


def model(name: str) -> VisionModel:
    """One model; NotFound where there is none."""
    row = models().filter(name=name).first()
    if row is None:
        raise NotFound(f"There is no model {name!r}.")
    return row


def versions(name: str) -> QuerySet[ModelVersion]:
    """Versions of a model with what a list shows of them; NotFound where there is no model."""
    rows = model(name).versions.select_related("model", "parent__model", "trained_on")
    return rows.prefetch_related("aliases")


def with_metric(
    rows: QuerySet[ModelVersion], name: str, at_least: float | None
) -> QuerySet[ModelVersion]:
    """Those of ``rows`` that have the figure ``name``, and of at least that much."""
    found = rows.filter(metrics__has_key=name)
    if at_least is None:
        return found
    return found.alias(figure=KeyTransform(name, "metrics")).filter(figure__gte=at_least)


def model_version(name: str, version: str) -> ModelVersion:
    """One version of a model; NotFound where there is none."""
    row = (
        ModelVersion.objects.select_related("model__golden", "model__calibration")
        .select_related("parent__model", "trained_on")
        .prefetch_related("aliases")
        .filter(model__name=name, version=version)
        .first()
    )
    if row is None:
        raise NotFound(f"There is no version {version!r} of a model {name!r}.")
    return row


def aliases(name: str) -> QuerySet[Alias]:
    """Aliases of a model, those that name no version now too; NotFound for no such model."""
    return model(name).aliases.select_related("model", "version")


def alias_moves(name: str, alias: str) -> QuerySet[AliasMove]:
    """Every move of an alias, the newest first; NotFound where it was never set."""
    found = aliases(name).filter(name=alias).first()
    if found is None:
        raise NotFound(f"There is no alias {alias!r} of a model {name!r}.")
    return found.moves.select_related("old", "new")


def limits_changes(name: str) -> QuerySet[LimitsChange]:
    """Every change of a model's limits, the newest first; NotFound where there is no model."""
    return model(name).limits_changes.all()


def imports() -> QuerySet[ModelImport]:
    """Imports from another registry."""
    return ModelImport.objects.select_related("model")


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
