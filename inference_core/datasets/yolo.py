"""YOLO as Ultralytics and LabelImg write it: one text file a picture, shares of its sides.

A row is ``class cx cy w h`` (a box) or ``class x1 y1 x2 y2 x3 y3 …`` (an outline).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from inference_core.datasets.files import (
    ImageFile,
    open_image,
    read_text,
    resolve_folder,
    stem_of,
)
from inference_core.datasets.geometry import Frame, measure_area, parse_number, parse_whole
from inference_core.datasets.labelled import (
    MAX_OBJECTS,
    LabelledImage,
    LabelledObject,
    LabelledSet,
    Ring,
    Xyxy,
)
from inference_core.datasets.losses import Feature, leave_out_unknown, tell_losses
from inference_core.datasets.problem import DatasetError, Notes
from inference_core.datasets.tracking import Track
from inference_core.datasets.writing import Pictures, write_text
from inference_core.datasets.yolo_index import Part, read_index, write_index

_DECIMALS = 6
"""Of a pixel: what lies below is the rounding of a share."""
_BOXES: frozenset[Feature] = frozenset({"subset", "fractions", "several_rings", "own_boxes"})
_OUTLINES: frozenset[Feature] = frozenset({"subset", "fractions", "outlines"})


def read(folder: Path, notes: Notes, track: Track) -> LabelledSet:
    """``data.yaml`` or ``classes.txt`` with its pictures and labels."""
    root = resolve_folder(folder)
    index = read_index(root)
    work = [(part, path) for part in index.parts for path in part.list_pictures()]
    if not work:
        raise DatasetError(f"{folder} holds no picture where a YOLO set has them")
    images = tuple(
        _read_image(root, part, path, index.labels, notes) for part, path in track(work, "read")
    )
    return LabelledSet(index.labels, images)


def write(labelled: LabelledSet, folder: Path, notes: Notes, track: Track) -> None:
    """``images``, ``labels`` and ``data.yaml``; outlines where the set has any, else boxes."""
    known = _name_rest(leave_out_unknown(labelled, notes), notes)
    outlined = any(one.rings for image in known.images for one in image.known_objects)
    tell_losses(known, _OUTLINES if outlined else _BOXES, notes)
    pictures = Pictures(folder, notes)
    numbers = {label: number for number, label in enumerate(known.labels)}
    for image in track(known.images, "write"):
        name = pictures.copy(image, f"images/{image.subset}".rstrip("/"))
        rows = [
            _make_row(one, image, numbers, notes, outlined=outlined) for one in image.known_objects
        ]
        path = folder / "labels" / image.subset / f"{stem_of(name)}.txt"
        write_text(path, "".join(f"{row}\n" for row in rows))
    write_index(folder, known.labels, sorted({image.subset for image in known.images}))


def _name_rest(labelled: LabelledSet, notes: Notes) -> LabelledSet:
    """Parts are folders: where some images have one, the others need one too."""
    if len({image.subset for image in labelled.images} - {""}) == 0:
        return labelled
    for image in labelled.images:
        if not image.subset:
            notes.tell("images without a subset were put into train", image.name)
    images = (replace(image, subset=image.subset or "train") for image in labelled.images)
    return replace(labelled, images=tuple(images))


def _read_image(
    root: Path, part: Part, path: Path, labels: tuple[str, ...], notes: Notes
) -> LabelledImage:
    name = path.relative_to(part.folder).as_posix()
    file = open_image(root, path, name)
    return LabelledImage(
        name=name,
        path=file.path,
        sha256=file.sha256,
        width=file.width,
        height=file.height,
        subset=part.subset,
        objects=_read_objects(root, path, file, labels, notes),
    )


def _read_objects(
    root: Path, picture: Path, file: ImageFile, labels: tuple[str, ...], notes: Notes
) -> tuple[LabelledObject, ...]:
    path = _find_labels(root, picture)
    if path is None:
        notes.tell("pictures have no label file, which means that nothing is there", picture.name)
        return ()
    rows = read_text(path).splitlines()
    if len(rows) > MAX_OBJECTS:
        raise DatasetError(f"{path.name}: {len(rows)} rows, more than {MAX_OBJECTS}")
    frame = Frame(file, notes)
    found = [
        _read_row(row, labels, frame, file, f"{path.name}:{number}")
        for number, row in enumerate(rows, start=1)
        if row.strip()
    ]
    return tuple(one for one in found if one is not None)


def _find_labels(root: Path, picture: Path) -> Path | None:
    """``…/images/…/a.jpg`` has ``…/labels/…/a.txt``; else the file lies beside the picture."""
    parts = list(picture.relative_to(root).with_suffix(".txt").parts)
    beside = root.joinpath(*parts)
    if "images" in parts:
        parts[len(parts) - 1 - parts[::-1].index("images")] = "labels"
    for candidate in (root.joinpath(*parts), beside):
        if candidate.is_file() and candidate.resolve().is_relative_to(root):
            return candidate
    return None


def _read_row(
    row: str, labels: tuple[str, ...], frame: Frame, file: ImageFile, where: str
) -> LabelledObject | None:
    words = row.split()
    number = parse_whole(words[0], where)
    if not 0 <= number < len(labels):
        raise DatasetError(f"{where}: class {number} is none of the {len(labels)} classes")
    shares = [parse_number(word, where) for word in words[1:]]
    if len(shares) == 4:
        inside = frame.cut_box(_to_pixels(shares, file), where)
        return LabelledObject(labels[number], inside) if inside else None
    if len(shares) < 6 or len(shares) % 2:
        raise DatasetError(
            f"{where}: {len(words)} values; a box has 5 and an outline 7, 9, 11 and so on "
            "(6 would be a prediction with its score, which is no label)"
        )
    points = [
        (round(x * file.width, _DECIMALS), round(y * file.height, _DECIMALS))
        for x, y in zip(shares[::2], shares[1::2], strict=True)
    ]
    return frame.make_outlined(labels[number], [points], where)


def _to_pixels(shares: list[float], file: ImageFile) -> Xyxy:
    cx, cy, w, h = shares
    x0, x1 = (round((cx + sign * w / 2) * file.width, _DECIMALS) for sign in (-1, 1))
    y0, y1 = (round((cy + sign * h / 2) * file.height, _DECIMALS) for sign in (-1, 1))
    return x0, y0, x1, y1


def _make_row(
    one: LabelledObject,
    image: LabelledImage,
    numbers: dict[str, int],
    notes: Notes,
    *,
    outlined: bool,
) -> str:
    number = numbers[one.label]
    if not outlined:
        return f"{number} " + _join(_to_shares(one.xyxy, image))
    if not one.rings:
        # A file that mixes rows of boxes and outlines is read as garbage by trainers.
        notes.tell("boxes were written as outlines with four corners", image.name)
    ring = max(one.rings, key=lambda ring: abs(measure_area(ring)), default=_corners(one.xyxy))
    shares = [share for x, y in ring for share in (x / image.width, y / image.height)]
    return f"{number} " + _join(shares)


def _corners(xyxy: Xyxy) -> Ring:
    x0, y0, x1, y1 = xyxy
    return ((x0, y0), (x1, y0), (x1, y1), (x0, y1))


def _to_shares(xyxy: Xyxy, image: LabelledImage) -> list[float]:
    x0, y0, x1, y1 = xyxy
    return [
        (x0 + x1) / 2 / image.width,
        (y0 + y1) / 2 / image.height,
        (x1 - x0) / image.width,
        (y1 - y0) / image.height,
    ]


def _join(shares: list[float]) -> str:
    """Ten digits: a hundred-thousandth of a pixel in the largest picture."""
    return " ".join(f"{share:.10g}" for share in shares)
