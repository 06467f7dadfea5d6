"""The only writer of datasets."""

from __future__ import annotations

from typing import IO

from django.db import IntegrityError, transaction

from inference_core.contract.dataset import LABELS_FILE
from server.accounts import audit
from server.datasets.archive import MAX_FILE_BYTES, open_archive
from server.datasets.models import DatasetItem, DatasetVersion, Purpose
from server.datasets.reading import Contents, read_contents
from server.lib import blobs, clock
from server.lib.errors import Conflict


def upload_dataset(
    *,
    name: str,
    version: str,
    purpose: Purpose,
    notes: str,
    file: IO[bytes],
    max_bytes: int,
    actor: str,
) -> DatasetVersion:
    """Store a zip of the folder format as an immutable dataset.

    Raises Invalid or TooLarge for what is no dataset, Conflict where this version exists, or
    this content by any name. Nothing is stored before everything has been checked.
    """
    _refuse_known_version(name, version)
    archive = open_archive(file, max_bytes=max_bytes)
    contents = read_contents(archive)
    _refuse_known_content(contents.sha256)
    for path in sorted(archive.names):
        blobs.put(archive.chunks(path), max_bytes=MAX_FILE_BYTES)
    try:
        return _create(
            contents,
            {"name": name, "version": version, "purpose": purpose, "notes": notes},
            actor,
        )
    except IntegrityError:
        # Two uploads at once: the other one was first.
        _refuse_known_version(name, version)
        _refuse_known_content(contents.sha256)
        raise


@transaction.atomic
def _create(contents: Contents, named: dict[str, str], actor: str) -> DatasetVersion:
    dataset = DatasetVersion.objects.create(
        **named,
        sha256=contents.sha256,
        labels_sha256=contents.sha256_of_file[LABELS_FILE],
        image_count=len(contents.lines),
        length=contents.length,
        created_at=clock.now(),
        created_by=actor,
    )
    DatasetItem.objects.bulk_create(
        (
            DatasetItem(
                dataset=dataset,
                image=line.image,
                image_sha256=contents.sha256_of_file[line.image],
                mask=line.mask or "",
                mask_sha256=contents.sha256_of_file[line.mask] if line.mask else "",
                labels=line.model_dump(mode="json", include={"text", "verdict"}, exclude_none=True),
            )
            for line in contents.lines
        ),
        batch_size=1000,
    )
    audit.record(
        actor=actor,
        action="upload",
        subject="dataset",
        subject_id=str(dataset.pk),
        after={**named, "sha256": contents.sha256},
    )
    return dataset


def _refuse_known_version(name: str, version: str) -> None:
    if DatasetVersion.objects.filter(name=name, version=version).exists():
        raise Conflict(
            f"There is a dataset {name!r} in version {version!r}; versions never change."
        )


def _refuse_known_content(sha256: str) -> None:
    known = DatasetVersion.objects.filter(sha256=sha256).first()
    if known is not None:
        raise Conflict(f"The same content is there already, as {known}.", sha256=sha256)
