"""COCO's object detection format, in the layouts of COCO itself and of Roboflow.

https://cocodataset.org/#format-data. Boxes are x, y, width, height, continuous from 0.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from inference_core.datasets.coco_file import CocoAnnotation, CocoFile, CocoImage, find_files
from inference_core.datasets.files import (
    ImageFile,
    check_name,
    check_size,
    open_image,
    read_bytes,
    resolve_folder,
)
from inference_core.datasets.geometry import Frame, measure_area
from inference_core.datasets.labelled import (
    MAX_OBJECTS,
    LabelledImage,
    LabelledObject,
    LabelledSet,
    check_label,
)
from inference_core.datasets.losses import Feature, leave_out_unknown, tell_losses
from inference_core.datasets.outline import trace_outlines
from inference_core.datasets.problem import DatasetError, Notes
from inference_core.datasets.rle import decode_counts, fill_columns
from inference_core.datasets.tracking import Track
from inference_core.datasets.writing import Pictures

HOLDS: frozenset[Feature] = frozenset(
    {"outlines", "several_rings", "own_boxes", "fractions", "crowd", "subset"}
)
FILE_NAME = "_annotations.coco.json"
MAX_JSON_BYTES = 512 * 1024 * 1024


def read(folder: Path, notes: Notes, track: Track) -> LabelledSet:
    """Every annotation file of the set; classes by number, those of several files in turn."""
    root = resolve_folder(folder)
    labels: dict[str, None] = {}
    images: list[LabelledImage] = []
    for place in find_files(root, FILE_NAME):
        reader = _Reader(root, place.subset, place.path, place.folders, notes)
        labels.update(dict.fromkeys(reader.labels.values()))
        images += [reader.read_image(image) for image in track(reader.file.images, "read")]
    return LabelledSet(tuple(labels), tuple(images))


def write(labelled: LabelledSet, folder: Path, notes: Notes, track: Track) -> None:
    """Roboflow's layout: a folder for each subset, pictures beside their annotations."""
    known = leave_out_unknown(labelled, notes)
    tell_losses(known, HOLDS, notes)
    pictures = Pictures(folder, notes)
    documents: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for image in track(known.images, "write"):
        document = documents.setdefault(image.subset, _start_document(known.labels))
        _add_image(document, image, pictures.copy(image, image.subset), known.labels)
    for subset, document in documents.items():
        path = folder / subset / FILE_NAME
        path.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")


class _Reader:
    """One annotation file and the pictures that it names."""

    def __init__(
        self, root: Path, subset: str, path: Path, folders: tuple[Path, ...], notes: Notes
    ) -> None:
        self._root, self._subset, self._path, self._folders = root, subset, path, folders
        self._notes = notes
        self.file = _parse(path)
        self.labels = _name_categories(self.file, path.name, notes)
        self._annotations: Mapping[int, list[tuple[int, CocoAnnotation]]] = self._group()

    def _group(self) -> Mapping[int, list[tuple[int, CocoAnnotation]]]:
        """Annotations with their places, by image; each must belong to one."""
        ids = {image.id for image in self.file.images}
        if len(ids) != len(self.file.images):
            raise DatasetError(f"{self._path.name}: two images have the same id")
        grouped: dict[int, list[tuple[int, CocoAnnotation]]] = defaultdict(list)
        for place, annotation in enumerate(self.file.annotations):
            where = f"{self._path.name}: annotations.{place}"
            if annotation.image_id not in ids:
                raise DatasetError(f"{where}: there is no image {annotation.image_id}")
            if annotation.category_id not in self.labels:
                raise DatasetError(f"{where}: there is no category {annotation.category_id}")
            grouped[annotation.image_id].append((place, annotation))
        return grouped

    def read_image(self, image: CocoImage) -> LabelledImage:
        where = f"{self._path.name}: image {image.id}"
        name = check_name(image.file_name, where)
        file = self._find_picture(name, where)
        check_size(file, (image.width, image.height), where)
        annotations = self._annotations.get(image.id, [])
        if len(annotations) > MAX_OBJECTS:
            raise DatasetError(f"{where}: {len(annotations)} objects, more than {MAX_OBJECTS}")
        found = [self._read_object(place, one, file) for place, one in annotations]
        return LabelledImage(
            name=name,
            path=file.path,
            sha256=file.sha256,
            width=file.width,
            height=file.height,
            subset=self._subset,
            objects=tuple(one for one in found if one is not None),
        )

    def _find_picture(self, name: str, where: str) -> ImageFile:
        for folder in self._folders:
            if (folder / name).is_file():
                return open_image(self._root, folder / name, where)
        raise DatasetError(f"{where}: the picture {name} is missing")

    def _read_object(
        self, place: int, annotation: CocoAnnotation, file: ImageFile
    ) -> LabelledObject | None:
        where = f"{self._path.name}: annotations.{place}"
        frame = Frame(file, self._notes)
        if annotation.keypoints:
            self._notes.tell("sets of key points were left out", where)
        outlined = frame.make_outlined(
            self.labels[annotation.category_id], self._read_outlines(annotation, file, where), where
        )
        if annotation.bbox is None:
            return outlined and _mark(outlined, annotation)
        x, y, w, h = annotation.bbox
        inside = frame.cut_box((x, y, x + w, y + h), where)
        if inside is None:
            return None
        rings = outlined.rings if outlined else ()
        label = self.labels[annotation.category_id]
        return _mark(LabelledObject(label, inside, rings), annotation)

    def _read_outlines(
        self, annotation: CocoAnnotation, file: ImageFile, where: str
    ) -> list[list[tuple[float, float]]]:
        shape = annotation.segmentation
        if shape is None:
            return []
        if isinstance(shape, tuple):
            if any(len(ring) % 2 for ring in shape):
                raise DatasetError(f"{where}: an outline has an x without a y")
            return [list(zip(ring[::2], ring[1::2], strict=True)) for ring in shape]
        if tuple(shape.size) != (file.height, file.width):
            raise DatasetError(f"{where}: the mask's size {shape.size} is not the picture's")
        given = shape.counts
        counts = decode_counts(given, where) if isinstance(given, str) else given
        rings, holes = trace_outlines(fill_columns(counts, file.width, file.height, where))
        self._notes.tell("holes in masks were filled", where, holes)
        return [list(ring) for ring in rings]


def _mark(one: LabelledObject, annotation: CocoAnnotation) -> LabelledObject:
    return LabelledObject(one.label, one.xyxy, one.rings, crowd=bool(annotation.iscrowd))


def _parse(path: Path) -> CocoFile:
    try:
        return CocoFile.model_validate_json(read_bytes(path, MAX_JSON_BYTES))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the document"
        raise DatasetError(f"{path.name}: {where}: {first['msg']}") from error


def _name_categories(file: CocoFile, name: str, notes: Notes) -> dict[int, str]:
    """Class names by id. Roboflow adds a class that is only the others' parent."""
    if len({one.id for one in file.categories}) != len(file.categories):
        raise DatasetError(f"{name}: two categories have the same id")
    used = {annotation.category_id for annotation in file.annotations}
    parents = {category.supercategory for category in file.categories}
    labels = {}
    for category in sorted(file.categories, key=lambda one: one.id):
        label = check_label(category.name, f"{name}: category {category.id}")
        is_parent = category.supercategory in {None, "none"} and category.name in parents
        if is_parent and category.id not in used:
            notes.tell("classes that only group others were left out", label)
        else:
            labels[category.id] = label
    return labels


def _start_document(labels: tuple[str, ...]) -> dict[str, list[dict[str, Any]]]:
    """Categories count from 1, as in COCO itself."""
    categories = [{"id": number, "name": label} for number, label in enumerate(labels, start=1)]
    return {"images": [], "annotations": [], "categories": categories}


def _add_image(
    document: dict[str, list[dict[str, Any]]],
    image: LabelledImage,
    name: str,
    labels: tuple[str, ...],
) -> None:
    image_id = len(document["images"]) + 1
    size = {"width": image.width, "height": image.height}
    document["images"].append({"id": image_id, "file_name": name, **size})
    for one in image.known_objects:
        x0, y0, x1, y1 = one.xyxy
        document["annotations"].append(
            {
                "id": len(document["annotations"]) + 1,
                "image_id": image_id,
                "category_id": labels.index(one.label) + 1,
                "bbox": [x0, y0, x1 - x0, y1 - y0],
                "area": sum(abs(measure_area(r)) for r in one.rings) or (x1 - x0) * (y1 - y0),
                "segmentation": [[side for point in ring for side in point] for ring in one.rings],
                "iscrowd": int(one.crowd),
            }
        )
