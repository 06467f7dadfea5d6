"""Reads the folder format: ``labels.jsonl`` beside the images and masks that it names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from inference_core.contract.dataset import (
    LABELS_FILE,
    MAX_IMAGES,
    MAX_LABELS_BYTES,
    BoxLabel,
    LabelLine,
    TextBoxLabel,
    dataset_sha256,
)
from inference_core.contract.words import VerdictWord
from inference_core.datasets.problem import DatasetError

MAX_FILE_BYTES = 64 * 1024 * 1024
_CHUNK_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Sample:
    """One labelled image. Paths are resolved and lie inside the dataset's folder."""

    name: str
    image: Path
    image_sha256: str
    mask: Path | None = None
    text: str | None = None
    verdict: VerdictWord | None = None
    label: str | None = None
    boxes: tuple[BoxLabel, ...] | None = None
    text_boxes: tuple[TextBoxLabel, ...] | None = None
    slices: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Dataset:
    """Labelled images in the order of their lines; ``sha256`` pins labels and every byte."""

    folder: Path
    samples: tuple[Sample, ...]
    sha256: str


def read_dataset(folder: Path) -> Dataset:
    """Read labels and hash every file they name; ``DatasetError`` for anything out of order.

    Pictures are hashed, not decoded. Nothing outside the folder is read, not even over a link.
    """
    root = folder.resolve()
    if not (root / LABELS_FILE).is_file():
        raise DatasetError(
            f"{folder} holds no {LABELS_FILE}, so it is no labelled set; infer dataset convert "
            "makes one of VOC, YOLO, COCO or CVAT"
        )
    digests = {LABELS_FILE: _hash_file(_locate(root, LABELS_FILE), MAX_LABELS_BYTES)}
    samples = tuple(_sample(root, line, digests) for line in _lines(root / LABELS_FILE))
    if not samples:
        raise DatasetError(f"{LABELS_FILE} in {folder} names no image")
    return Dataset(root, samples, dataset_sha256(digests))


def _lines(labels: Path) -> Iterator[LabelLine]:
    seen: set[str] = set()
    with labels.open("rb") as lines:
        for number, text in enumerate(lines, start=1):
            line = _parse(text, number)
            if line.image in seen:
                raise DatasetError(f"{LABELS_FILE}:{number} names {line.image} a second time")
            if number > MAX_IMAGES:
                raise DatasetError(f"{LABELS_FILE} has more than {MAX_IMAGES} lines")
            seen.add(line.image)
            yield line


def _parse(text: bytes, number: int) -> LabelLine:
    try:
        return LabelLine.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "line"
        raise DatasetError(f"{LABELS_FILE}:{number}: {where}: {first['msg']}") from error


def _sample(root: Path, line: LabelLine, digests: dict[str, str]) -> Sample:
    paths = {name: _locate(root, name) for name in (line.image, line.mask) if name}
    for name, path in paths.items():
        digests[name] = digests.get(name) or _hash_file(path, MAX_FILE_BYTES)
    return Sample(
        name=line.image,
        image=paths[line.image],
        image_sha256=digests[line.image],
        mask=paths[line.mask] if line.mask else None,
        text=line.text,
        verdict=line.verdict,
        label=line.label,
        boxes=line.boxes,
        text_boxes=line.text_boxes,
        slices=line.slices,
    )


def _locate(root: Path, name: str) -> Path:
    path = (root / name).resolve()
    if not path.is_relative_to(root):
        raise DatasetError(f"{name} leads out of the dataset's folder")
    if not path.is_file():
        raise DatasetError(f"{name} is not a file in {root}")
    return path


def _hash_file(path: Path, limit_bytes: int) -> str:
    if path.stat().st_size > limit_bytes:
        raise DatasetError(f"{path.name} is larger than {limit_bytes} bytes")
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
