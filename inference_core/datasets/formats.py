"""Which module reads and writes which format."""

from __future__ import annotations

import shutil
from importlib import import_module
from pathlib import Path

from inference_core.datasets.labelled import LabelledSet
from inference_core.datasets.problem import DatasetError, Notes
from inference_core.datasets.tracking import Track, stay_silent

FORMATS: dict[str, tuple[str, str]] = {
    "coco": ("inference_core.datasets.coco", "COCO JSON, also as Roboflow exports it"),
    "cvat": ("inference_core.datasets.cvat", "CVAT for images 1.1"),
    "linewarden": ("inference_core.datasets.linewarden", "labels.jsonl, what build takes"),
    "voc": ("inference_core.datasets.voc", "Pascal VOC XML, as LabelImg writes it"),
    "yolo": ("inference_core.datasets.yolo", "YOLO text files, boxes or outlines"),
}
"""A module has ``read(folder, notes, track)`` and ``write(labelled, folder, notes, track)``."""


def read_set(name: str, folder: Path, notes: Notes, track: Track = stay_silent) -> LabelledSet:
    """The set in ``folder``. Raises ``DatasetError``; ``notes`` hears what is odd or left out."""
    labelled: LabelledSet = import_module(FORMATS[name][0]).read(folder, notes, track)
    if not labelled.images:
        raise DatasetError(f"{folder} holds no image")
    _tell_copies(labelled, notes)
    return labelled


def write_set(
    name: str, labelled: LabelledSet, folder: Path, notes: Notes, track: Track = stay_silent
) -> None:
    """Writes the set into ``folder``, which must be absent or empty, and copies its pictures.

    The folder appears whole or not at all. What the format cannot hold goes to ``notes``.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DatasetError(f"{folder} is not empty; give a new folder")
    partial = folder.with_name(f".{folder.name}.partial")
    _remove(partial)
    partial.mkdir(parents=True)
    try:
        import_module(FORMATS[name][0]).write(labelled, partial, notes, track)
        if folder.exists():
            folder.rmdir()
        partial.rename(folder)
    finally:
        _remove(partial)


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def _tell_copies(labelled: LabelledSet, notes: Notes) -> None:
    """Labels of equal pictures may contradict each other, and weigh twice in every figure."""
    first: dict[str, str] = {}
    for image in labelled.images:
        twin = first.setdefault(image.sha256, image.name)
        if twin is not image.name:
            notes.tell("pictures have the bytes of another one", f"{image.name} = {twin}")
