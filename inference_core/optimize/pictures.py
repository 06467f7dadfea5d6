"""Pictures to calibrate with: a labelled dataset, or a plain folder, which needs no labels."""

from __future__ import annotations

import hashlib
from pathlib import Path

from inference_core.contract.dataset import LABELS_FILE, dataset_sha256
from inference_core.datasets import Dataset, Sample, read_dataset
from inference_core.errors import BadInput
from inference_core.picture import PICTURE_SUFFIXES

MIN_PICTURES = 8
"""Fewer clip whatever they do not show."""

ENOUGH_PICTURES = 32


def read_pictures(folder: Path) -> Dataset:
    """A dataset folder, or every picture in a plain folder and below it, by name.

    Raises ``BadInput`` where there are fewer than ``MIN_PICTURES``: ranges made up from nothing
    give a model that loads, runs and is quietly wrong.
    """
    if not folder.is_dir():
        raise BadInput(f"{folder} is no folder; give one with pictures from the line")
    pictures = read_dataset(folder) if (folder / LABELS_FILE).is_file() else _read_plain(folder)
    if len(pictures.samples) < MIN_PICTURES:
        raise BadInput(
            f"{folder} holds {len(pictures.samples)} pictures; INT8 needs at least {MIN_PICTURES} "
            f"from the line, better {ENOUGH_PICTURES} to 300: their values set its ranges"
        )
    return pictures


def hold_out(pictures: Dataset) -> tuple[Dataset, Dataset]:
    """Four fifths to calibrate with, and every fifth to see what it did."""
    samples = pictures.samples
    kept = tuple(one for number, one in enumerate(samples) if number % 5 != 4)
    held = samples[4::5]
    return (
        Dataset(pictures.folder, kept, pictures.sha256),
        Dataset(pictures.folder, held, pictures.sha256),
    )


def list_plain(folder: Path) -> list[Path]:
    """Every picture in a folder and below it, by name."""
    found = folder.resolve().rglob("*")
    return sorted(p for p in found if p.suffix.lower() in PICTURE_SUFFIXES and p.is_file())


def _read_plain(folder: Path) -> Dataset:
    root = folder.resolve()
    samples = tuple(_sample(root, path) for path in list_plain(folder))
    digests = {sample.name: sample.image_sha256 for sample in samples}
    return Dataset(root, samples, dataset_sha256(digests))


def _sample(root: Path, path: Path) -> Sample:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Sample(name=str(path.relative_to(root)), image=path, image_sha256=digest)
