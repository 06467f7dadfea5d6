"""Our own folders: ``labels.jsonl`` beside its images, a folder for each subset."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
from numpy.typing import NDArray

from inference_core.contract.dataset import LABELS_FILE, BoxLabel, LabelLine
from inference_core.datasets.files import open_image, resolve_folder
from inference_core.datasets.folder import Sample, read_dataset
from inference_core.datasets.geometry import Frame
from inference_core.datasets.labelled import (
    LabelledImage,
    LabelledObject,
    LabelledSet,
    check_label,
    collect_labels,
)
from inference_core.datasets.losses import Feature, tell_losses, tell_unused_labels
from inference_core.datasets.outline import fill_outline
from inference_core.datasets.problem import DatasetError, Notes
from inference_core.datasets.subsets import name_subset
from inference_core.datasets.tracking import Track
from inference_core.datasets.writing import Pictures, make_plain, write_text

HOLDS: frozenset[Feature] = frozenset(
    {
        "fractions",
        "label",
        "mask",
        "own_boxes",
        "several_rings",
        "slices",
        "subset",
        "text",
        "text_boxes",
        "verdict",
    }
)


def read(folder: Path, notes: Notes, track: Track) -> LabelledSet:
    """One dataset, or the subsets in its folders."""
    root = resolve_folder(folder)
    places = [root] if (root / LABELS_FILE).is_file() else _find_subsets(root)
    images: list[LabelledImage] = []
    for place in places:
        subset = name_subset(place.name) if place != root else ""
        samples = read_dataset(place).samples
        images += [_read_image(place, one, subset, notes) for one in track(samples, "read")]
    return LabelledSet(collect_labels(images), tuple(images))


def write(labelled: LabelledSet, folder: Path, notes: Notes, track: Track) -> None:
    """Each subset is a dataset of its own, so that one can calibrate and another judge.

    Where every object has an outline, the outlines are also drawn into masks: class 1 is the
    first label, later objects lie on top.
    """
    drawn = _wants_masks(labelled)
    tell_losses(labelled, HOLDS | ({"outlines"} if drawn else frozenset()), notes)
    tell_unused_labels(labelled, notes)
    pictures = Pictures(folder, notes)
    lines: dict[str, list[bytes]] = {}
    for image in track(labelled.images, "write"):
        name = pictures.copy(
            image, f"{image.subset}/images".lstrip("/"), name=make_plain(image.name)
        )
        mask = _write_mask(image, folder / image.subset, name, labelled.labels, drawn=drawn)
        lines.setdefault(image.subset, []).append(_make_line(image, name, mask).to_json())
    if drawn:
        numbers = ", ".join(f"{n} = {label}" for n, label in enumerate(labelled.labels, start=1))
        notes.tell(f"masks were drawn from outlines: 0 = background, {numbers}", "all", len(lines))
    for subset, rows in lines.items():
        text = b"".join(row + b"\n" for row in rows).decode()
        write_text(folder / subset / LABELS_FILE, text)


def _find_subsets(root: Path) -> list[Path]:
    found = sorted(path.parent for path in root.glob(f"*/{LABELS_FILE}"))
    if not found:
        raise DatasetError(f"{root.name} holds no {LABELS_FILE}, nor do the folders in it")
    return found


def _read_image(root: Path, sample: Sample, subset: str, notes: Notes) -> LabelledImage:
    file = open_image(root, sample.image, f"{LABELS_FILE}: {sample.name}")
    frame = Frame(file, notes)
    return LabelledImage(
        name=sample.name.removeprefix("images/"),
        path=file.path,
        sha256=file.sha256,
        width=file.width,
        height=file.height,
        subset=subset,
        objects=_read_objects(sample.boxes, frame, sample.name),
        label=sample.label,
        text=sample.text,
        text_boxes=sample.text_boxes,
        mask=sample.mask,
        verdict=sample.verdict,
        slices=dict(sample.slices),
    )


def _read_objects(
    boxes: Sequence[BoxLabel] | None, frame: Frame, name: str
) -> tuple[LabelledObject, ...] | None:
    if boxes is None:
        return None
    found = []
    for number, box in enumerate(boxes):
        where = f"{LABELS_FILE}: {name}: boxes.{number}"
        inside = frame.cut_box(box.xyxy, where)
        if inside is not None:
            found.append(LabelledObject(check_label(box.label, where), inside))
    return tuple(found)


def _wants_masks(labelled: LabelledSet) -> bool:
    objects = [one for image in labelled.images for one in image.known_objects]
    return (
        bool(objects)
        and len(labelled.labels) < 256
        and all(one.rings for one in objects)
        and all(image.objects is not None and image.mask is None for image in labelled.images)
    )


def _write_mask(
    image: LabelledImage, root: Path, name: str, labels: tuple[str, ...], *, drawn: bool
) -> str | None:
    if image.mask is None and not drawn:
        return None
    mask = f"masks/{PurePosixPath(name).with_suffix('.png')}"
    target = root / mask
    target.parent.mkdir(parents=True, exist_ok=True)
    if image.mask is not None:
        shutil.copyfile(image.mask, target)
    else:
        _, data = cv2.imencode(".png", draw_mask(image, labels))
        target.write_bytes(data.tobytes())
    return mask


def draw_mask(image: LabelledImage, labels: tuple[str, ...]) -> NDArray[np.uint8]:
    """H×W of class numbers from 1: a pixel belongs to an outline that holds its centre."""
    mask = np.zeros((image.height, image.width), np.uint8)
    for one in image.known_objects:
        for ring in one.rings:
            inside = fill_outline(ring, image.width, image.height)
            mask[inside] = labels.index(one.label) + 1
    return mask


def _make_line(image: LabelledImage, name: str, mask: str | None) -> LabelLine:
    return LabelLine(
        image=f"images/{name}",
        mask=mask,
        text=image.text,
        verdict=image.verdict,
        label=image.label,
        boxes=image.boxes,
        text_boxes=image.text_boxes,
        slices=image.slices,
    )
