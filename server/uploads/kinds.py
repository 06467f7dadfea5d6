"""What may be uploaded: the form beside each file, early refusals, and the service it goes to."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from rest_framework import serializers

from inference_core.contract.manifest import ModelManifest
from server.datasets.models import DatasetVersion, Purpose
from server.datasets.services import upload_dataset
from server.lib.errors import Conflict, Invalid, NotFound
from server.lib.fields import NameField
from server.lib.messages import read_json
from server.registry import selectors
from server.registry.models import ModelVersion
from server.registry.serializers import VersionFields
from server.registry.services import lineage, upload_version
from server.uploads.models import Upload, UploadKind
from server.uploads.parts import Content


class VersionForm(VersionFields):
    """Of a model version."""

    model = NameField()


class DatasetForm(serializers.Serializer[Any]):
    """Of a dataset."""

    name = NameField()
    version = NameField(max_length=50)
    purpose = serializers.ChoiceField(choices=Purpose.choices)
    notes = serializers.CharField(max_length=10_000, allow_blank=True, default="")


@dataclass(frozen=True)
class Kind:
    """How one kind is checked before its bytes come, and handed over after them.

    ``hand_over`` returns the result's path below /api/v1/; ``find`` gives it where an earlier
    attempt had come so far with the same bytes.
    """

    form: type[serializers.Serializer[Any]]
    max_bytes: Callable[[], int]
    refuse_early: Callable[[Mapping[str, Any]], None]
    hand_over: Callable[[Upload, Content], str]
    find: Callable[[Upload, str], str | None]


def _refuse_version(form: Mapping[str, Any]) -> None:
    try:
        model = selectors.model(form["model"])
    except NotFound as error:
        raise Invalid(error.detail) from None
    if form["manifest"]:
        task = read_json(ModelManifest, form["manifest"]).task
        if task != model.task:
            raise Invalid(f"The manifest is for {task}, but {model.name} is for {model.task}.")
    lineage.find_parent(model, form["parent"])
    lineage.find_training_set(form["trained_on"])
    lineage.read_recipe(form["recipe"])
    if model.versions.filter(version=form["version"]).exists():
        raise Conflict(f"{model} has a version {form['version']!r}; versions never change.")


def _hand_over_version(upload: Upload, content: Content) -> str:
    form = dict(upload.form)
    version = upload_version(
        model=selectors.model(form.pop("model")),
        chunks=content.chunks(),
        max_bytes=settings.ENV.max_model_bytes,
        actor=upload.actor,
        **form,
    )
    return _path_of_version(version)


def _find_version(upload: Upload, sha256: str) -> str | None:
    found = ModelVersion.objects.select_related("model").filter(
        model__name=upload.form["model"], version=upload.form["version"], sha256=sha256
    )
    version = found.first()
    return _path_of_version(version) if version else None


def _path_of_version(version: ModelVersion) -> str:
    return f"models/{version.model.name}/versions/{version.version}"


def _refuse_dataset(form: Mapping[str, Any]) -> None:
    if DatasetVersion.objects.filter(name=form["name"], version=form["version"]).exists():
        raise Conflict(
            f"There is a dataset {form['name']!r} in version {form['version']!r}; versions never "
            "change."
        )


def _hand_over_dataset(upload: Upload, content: Content) -> str:
    with tempfile.TemporaryFile() as file:  # a zip is read from its end
        for chunk in content.chunks():
            file.write(chunk)
        file.seek(0)
        dataset = upload_dataset(
            **upload.form, file=file, max_bytes=settings.ENV.max_dataset_bytes, actor=upload.actor
        )
    return f"datasets/{dataset.name}/{dataset.version}"


def _find_dataset(upload: Upload, sha256: str) -> str | None:  # noqa: ARG001 - not the zip's digest
    """By name alone: the zip's own digest is nowhere kept, only that of what it held."""
    found = DatasetVersion.objects.filter(
        name=upload.form["name"],
        version=upload.form["version"],
        created_by=upload.actor,
        created_at__gte=upload.created_at,
    )
    dataset = found.first()
    return f"datasets/{dataset.name}/{dataset.version}" if dataset else None


KINDS: dict[str, Kind] = {
    UploadKind.MODEL_VERSION: Kind(
        VersionForm,
        lambda: settings.ENV.max_model_bytes,
        _refuse_version,
        _hand_over_version,
        _find_version,
    ),
    UploadKind.DATASET: Kind(
        DatasetForm,
        lambda: settings.ENV.max_dataset_bytes,
        _refuse_dataset,
        _hand_over_dataset,
        _find_dataset,
    ),
}
