"""CVAT for images 1.1: one XML with boxes, polygons and tags, and the pictures in ``images``."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from inference_core.datasets.files import (
    ImageFile,
    check_name,
    check_size,
    open_image,
    resolve_folder,
)
from inference_core.datasets.geometry import Frame, parse_number, parse_whole
from inference_core.datasets.labelled import (
    MAX_OBJECTS,
    LabelledImage,
    LabelledObject,
    LabelledSet,
    check_label,
    collect_labels,
)
from inference_core.datasets.losses import Feature, tell_losses
from inference_core.datasets.problem import DatasetError, Notes
from inference_core.datasets.subsets import name_subset
from inference_core.datasets.tracking import Track
from inference_core.datasets.writing import Pictures, format_number, write_text
from inference_core.datasets.xml_tree import Element, parse_xml

HOLDS: frozenset[Feature] = frozenset(
    {"outlines", "several_rings", "fractions", "difficult", "truncated", "label", "subset"}
)
FILE_NAME = "annotations.xml"

_Points = list[tuple[float, float]]
_FLAGS = ("difficult", "truncated")
_OTHER_SHAPES = ("polyline", "points", "ellipse", "cuboid", "mask", "skeleton")


def read(folder: Path, notes: Notes, track: Track) -> LabelledSet:
    """``annotations.xml`` with its pictures. ``DatasetError`` names file and line."""
    root = resolve_folder(folder)
    document = parse_xml(root / FILE_NAME)
    if document.tag != "annotations":
        raise DatasetError(f"{document.where}: <{document.tag}> is no <annotations> of CVAT")
    if document.find_optional("track") is not None:
        raise DatasetError(f"{document.where}: this is CVAT for video; export as CVAT for images")
    entries = document.find_all("image")
    has_shapes = any(_has_objects(entry) for entry in entries)
    images = tuple(
        _read_image(root, entry, notes, has_shapes=has_shapes) for entry in track(entries, "read")
    )
    declared = dict.fromkeys(_read_labels(document))
    used = (label for label in collect_labels(images) if label not in declared)
    return LabelledSet((*declared, *used), images)


def write(labelled: LabelledSet, folder: Path, notes: Notes, track: Track) -> None:
    """``annotations.xml`` and ``images``, subsets as attributes and folders."""
    tell_losses(labelled, HOLDS, notes)
    pictures = Pictures(folder, notes)
    parts = []
    for number, image in enumerate(track(labelled.images, "write")):
        if image.objects is None and image.label is None:
            notes.tell("images of which nothing is known were left out", image.name)
            continue
        name = pictures.copy(image, f"images/{image.subset}".rstrip("/"))
        parts.append(_make_image(number, name, image))
    tags = {image.label: None for image in labelled.images if image.label is not None}
    labels = "".join(
        f"<label><name>{escape(label)}</name></label>"
        for label in dict.fromkeys((*labelled.labels, *tags))
    )
    write_text(
        folder / FILE_NAME,
        '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n'
        f"<meta><task><labels>{labels}</labels></task></meta>\n{''.join(parts)}</annotations>\n",
    )


def _has_objects(entry: Element) -> bool:
    return any(child.tag in {"box", "polygon"} for child in entry.children)


def _read_labels(document: Element) -> Iterator[str]:
    """Every ``<label><name>`` below ``<meta>``: of a task, a job or a project."""
    waiting = document.find_all("meta")
    while waiting:
        element = waiting.pop(0)
        if element.tag == "label":
            name = element.find("name")
            yield check_label(name.text, name.where)
        else:
            waiting += element.children


def _read_image(root: Path, entry: Element, notes: Notes, *, has_shapes: bool) -> LabelledImage:
    name, subset = check_name(entry.get("name"), entry.where), entry.attributes.get("subset", "")
    file = _find_picture(root, name, subset, entry.where)
    size = tuple(parse_whole(entry.get(side), entry.where) for side in ("width", "height"))
    check_size(file, (size[0], size[1]), entry.where)
    if len(entry.children) > MAX_OBJECTS:
        raise DatasetError(f"{entry.where}: {len(entry.children)} shapes, more than {MAX_OBJECTS}")
    objects = tuple(_read_objects(entry, Frame(file, notes), notes))
    return LabelledImage(
        name=name.removeprefix(f"{subset}/"),
        path=file.path,
        sha256=file.sha256,
        width=file.width,
        height=file.height,
        subset="" if subset == "default" else name_subset(subset),
        objects=objects if has_shapes or not entry.find_all("tag") else None,
        label=_read_tag(entry, notes),
    )


def _find_picture(root: Path, name: str, subset: str, where: str) -> ImageFile:
    folders = [root / "images" / subset, root / "images", root / subset, root]
    for folder in folders:
        if (folder / name).is_file():
            return open_image(root, folder / name, where)
    raise DatasetError(f"{where}: the picture {name} is missing")


def _read_tag(entry: Element, notes: Notes) -> str | None:
    tags = [check_label(tag.get("label"), tag.where) for tag in entry.find_all("tag")]
    notes.tell("further tags of one picture were left out", entry.where, max(len(tags) - 1, 0))
    return tags[0] if tags else None


def _read_objects(entry: Element, frame: Frame, notes: Notes) -> Iterator[LabelledObject]:
    """Boxes and polygons in their order; polygons of one group are one object."""
    groups: dict[tuple[str, str], list[Element]] = {}
    for child in entry.children:
        if child.tag in _OTHER_SHAPES:
            notes.tell(f"shapes of the kind {child.tag} were left out", child.where)
        elif child.tag in {"box", "polygon"}:
            group = child.attributes.get("group_id", "0")
            is_alone = child.tag == "box" or group in {"", "0"}
            key = (child.where + str(id(child)), "") if is_alone else (group, child.get("label"))
            groups.setdefault(key, []).append(child)
    for shapes in groups.values():
        one = _read_object(shapes, frame, notes)
        if one is not None:
            yield one


def _read_object(shapes: list[Element], frame: Frame, notes: Notes) -> LabelledObject | None:
    first = shapes[0]
    label = check_label(first.get("label"), first.where)
    turned = first.tag == "box" and _read_rotation(first) != 0
    if first.tag == "box" and not turned:
        xyxy = _read_box(first)
        inside = frame.cut_box(xyxy, first.where)
        return inside and _mark(LabelledObject(label, inside), first)
    if turned:
        notes.tell("rotated boxes became polygons", first.where)
        outlines = [_turn(first)]
    else:
        outlines = [_read_points(shape) for shape in shapes]
    one = frame.make_outlined(label, outlines, first.where)
    return one and _mark(one, first)


def _mark(one: LabelledObject, shape: Element) -> LabelledObject:
    """``difficult`` and ``truncated`` as CVAT's own Pascal VOC import writes them."""
    values = {
        attribute.attributes.get("name"): attribute.text.strip().lower()
        for attribute in shape.find_all("attribute")
    }
    difficult, truncated = (values.get(flag) in {"true", "1"} for flag in _FLAGS)
    return LabelledObject(one.label, one.xyxy, one.rings, difficult, truncated)


def _read_box(shape: Element) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = (
        parse_number(shape.get(side), shape.where) for side in ("xtl", "ytl", "xbr", "ybr")
    )
    return x0, y0, x1, y1


def _read_rotation(shape: Element) -> float:
    return parse_number(shape.attributes.get("rotation", "0"), shape.where) % 360


def _turn(shape: Element) -> _Points:
    """The corners of a rotated box: degrees, clockwise on a screen, about its centre."""
    x0, y0, x1, y1 = _read_box(shape)
    angle = math.radians(_read_rotation(shape))
    cx, cy, cos, sin = (x0 + x1) / 2, (y0 + y1) / 2, math.cos(angle), math.sin(angle)
    corners = ((x0, y0), (x1, y0), (x1, y1), (x0, y1))
    return [
        (cx + (x - cx) * cos - (y - cy) * sin, cy + (x - cx) * sin + (y - cy) * cos)
        for x, y in corners
    ]


def _read_points(shape: Element) -> _Points:
    points = []
    for pair in shape.get("points").split(";"):
        sides = pair.split(",")
        if len(sides) != 2:
            raise DatasetError(f"{shape.where}: {pair[:40]!r} in points is no x,y")
        points.append((parse_number(sides[0], shape.where), parse_number(sides[1], shape.where)))
    return points


def _make_image(number: int, name: str, image: LabelledImage) -> str:
    shapes = "".join(
        _make_shapes(one, group) for group, one in enumerate(image.known_objects, start=1)
    )
    tag = "" if image.label is None else f"<tag label={quoteattr(image.label)}></tag>\n"
    subset = f" subset={quoteattr(image.subset)}" if image.subset else ""
    return (
        f'<image id="{number}" name={quoteattr(name)}{subset} width="{image.width}" '
        f'height="{image.height}">\n{tag}{shapes}</image>\n'
    )


def _make_shapes(one: LabelledObject, group: int) -> str:
    marks = "".join(
        f'<attribute name="{flag}">true</attribute>' for flag in _FLAGS if getattr(one, flag)
    )
    label = quoteattr(one.label)
    if not one.rings:
        sides = zip(("xtl", "ytl", "xbr", "ybr"), one.xyxy, strict=True)
        box = " ".join(f'{side}="{format_number(value)}"' for side, value in sides)
        return f'<box label={label} occluded="0" {box} z_order="0">{marks}</box>\n'
    grouped = f' group_id="{group}"' if len(one.rings) > 1 else ""
    return "".join(
        f'<polygon label={label} occluded="0" points="{_join(ring)}" z_order="0"{grouped}>'
        f"{marks}</polygon>\n"
        for ring in one.rings
    )


def _join(ring: tuple[tuple[float, float], ...]) -> str:
    return ";".join(f"{format_number(x)},{format_number(y)}" for x, y in ring)
