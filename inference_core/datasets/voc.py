"""Pascal VOC, as LabelImg writes it: one XML a picture, boxes by 1-based inclusive pixels.

Everingham et al., The PASCAL VOC Challenge 2012 Development Kit, section 2: the pixel at the top
left is (1, 1), and ``xmax`` belongs to the box. A box from continuous 0 to 1 is ``1, 1``.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.sax.saxutils import escape

from inference_core.datasets.files import (
    ImageFile,
    check_name,
    check_size,
    list_pictures,
    open_image,
    read_text,
    resolve_folder,
    stem_of,
)
from inference_core.datasets.geometry import Frame, parse_number, parse_whole
from inference_core.datasets.labelled import (
    MAX_OBJECTS,
    LabelledImage,
    LabelledObject,
    LabelledSet,
    Xyxy,
    check_label,
    collect_labels,
)
from inference_core.datasets.losses import Feature, tell_losses, tell_unused_labels
from inference_core.datasets.problem import DatasetError, Notes
from inference_core.datasets.subsets import name_subset
from inference_core.datasets.tracking import Track
from inference_core.datasets.writing import Pictures, format_number, write_text
from inference_core.datasets.xml_tree import Element, parse_xml
from inference_core.picture import PICTURE_SUFFIXES

HOLDS: frozenset[Feature] = frozenset(
    {"difficult", "truncated", "subset", "several_rings", "own_boxes"}
)

_PICTURE_FOLDERS = ("JPEGImages", "images", "")
_LISTS = Path("ImageSets") / "Main"
_SIDES = ("xmin", "ymin", "xmax", "ymax")
_SUFFIXES = sorted(PICTURE_SUFFIXES)
_MAX_XML_BYTES = 16 * 1024 * 1024


def read(folder: Path, notes: Notes, track: Track) -> LabelledSet:
    """Every XML below ``folder`` with its picture. ``DatasetError`` names file and line."""
    root = resolve_folder(folder)
    subsets = _read_lists(root / _LISTS)
    files = sorted(root.rglob("*.xml"))
    if not files:
        raise DatasetError(f"{folder} holds no .xml file, so it is no Pascal VOC set")
    images = tuple(_read_image(root, path, subsets, notes) for path in track(files, "read"))
    unlabelled = _list_unlabelled(root, images, subsets)
    return LabelledSet(collect_labels(images), images + unlabelled)


def write(labelled: LabelledSet, folder: Path, notes: Notes, track: Track) -> None:
    """``Annotations``, ``JPEGImages`` and a list for each subset."""
    tell_losses(labelled, HOLDS, notes)
    tell_unused_labels(labelled, notes)
    pictures = Pictures(folder, notes)
    lists: dict[str, list[str]] = {}
    for image in track(labelled.images, "write"):
        name = pictures.copy(image, "JPEGImages")
        stem = stem_of(name)
        if image.objects is not None:
            write_text(folder / "Annotations" / f"{stem}.xml", _make_xml(image, name))
        lists.setdefault(image.subset, []).append(stem)
    for subset, stems in lists.items():
        if subset:
            write_text(folder / _LISTS / f"{subset}.txt", "".join(f"{s}\n" for s in stems))


def _read_lists(folder: Path) -> dict[str, str]:
    """Name of a picture without suffix to its subset; lists by class have two columns."""
    subsets: dict[str, str] = {}
    for path in sorted(folder.glob("*.txt")):
        names = [line.strip() for line in read_text(path).splitlines()]
        is_list = all(len(name.split()) <= 1 for name in names)
        if is_list and path.stem != "trainval":
            subsets.update((name, name_subset(path.stem)) for name in names if name)
    return subsets


def _read_image(root: Path, path: Path, subsets: dict[str, str], notes: Notes) -> LabelledImage:
    document = parse_xml(path, _MAX_XML_BYTES)
    if document.tag != "annotation":
        raise DatasetError(f"{document.where}: <{document.tag}> is no <annotation> of Pascal VOC")
    element = document.find("filename")
    name = check_name(element.text.strip(), element.where)
    file = _find_picture(root, path, name, element.where)
    _check_size(document, file)
    found = document.find_all("object")
    if len(found) > MAX_OBJECTS:
        raise DatasetError(f"{path.name}: {len(found)} objects, more than {MAX_OBJECTS}")
    frame = Frame(file, notes)
    objects = [_read_object(entry, frame, notes) for entry in found]
    found_objects = tuple(one for one in objects if one is not None)
    return replace(_make_image(root, file, subsets), objects=found_objects)


def _make_image(root: Path, file: ImageFile, subsets: dict[str, str]) -> LabelledImage:
    name = _name_below(root, file.path)
    return LabelledImage(
        name=name,
        path=file.path,
        sha256=file.sha256,
        width=file.width,
        height=file.height,
        subset=subsets.get(stem_of(name), ""),
    )


def _find_picture(root: Path, annotation: Path, name: str, where: str) -> ImageFile:
    """The picture lies beside the XML or in a folder beside the XML's; ``<path>`` is not trusted.

    Some tools leave the suffix out, and people rename pairs of files: LabelImg itself goes by the
    name of the XML.
    """
    stems = {stem_of(name), name, annotation.stem}
    names = [name, *(stem + suffix for stem in sorted(stems) for suffix in _SUFFIXES)]
    folders = [annotation.parent, *(root / folder for folder in _PICTURE_FOLDERS)]
    folders += [annotation.parent.parent / folder for folder in _PICTURE_FOLDERS[:2]]
    for folder in folders:
        for candidate in names:
            if (folder / candidate).is_file():
                return open_image(root, folder / candidate, where)
    raise DatasetError(f"{where}: the picture {name} is missing")


def _name_below(root: Path, picture: Path) -> str:
    relative = picture.relative_to(root)
    if relative.parts[0] in _PICTURE_FOLDERS and len(relative.parts) > 1:
        relative = Path(*relative.parts[1:])
    return relative.as_posix()


def _check_size(document: Element, file: ImageFile) -> None:
    size = document.find_optional("size")
    if size is not None:
        width, height = size.find("width"), size.find("height")
        stated = parse_whole(width.text, width.where), parse_whole(height.text, height.where)
        check_size(file, stated, size.where)


def _read_object(entry: Element, frame: Frame, notes: Notes) -> LabelledObject | None:
    if entry.find_optional("part") is not None:
        notes.tell("objects had named parts, which were left out", entry.where)
    if entry.find_optional("polygon") is not None:
        notes.tell("outlines of another tool in the XML were left out", entry.where)
    name, box = entry.find("name"), entry.find("bndbox")
    sides = {tag: parse_number(box.find(tag).text, box.where) for tag in _SIDES}
    xyxy = (sides["xmin"] - 1, sides["ymin"] - 1, sides["xmax"], sides["ymax"])
    inside = frame.cut_box(xyxy, box.where)
    if inside is None:
        return None
    return LabelledObject(
        label=check_label(name.text, name.where),
        xyxy=inside,
        difficult=_read_flag(entry, "difficult"),
        truncated=_read_flag(entry, "truncated"),
    )


def _read_flag(entry: Element, tag: str) -> bool:
    flag = entry.find_optional(tag)
    if flag is None:
        return False
    if flag.text.strip() not in {"0", "1"}:
        raise DatasetError(f"{flag.where}: <{tag}> is 0 or 1, not {flag.text.strip()[:40]!r}")
    return flag.text.strip() == "1"


def _list_unlabelled(
    root: Path, labelled: tuple[LabelledImage, ...], subsets: dict[str, str]
) -> tuple[LabelledImage, ...]:
    """LabelImg writes no XML until a picture is saved: no XML is unknown, not empty."""
    known = {image.path for image in labelled}
    rest = (path for path in list_pictures(root) if path.resolve() not in known)
    return tuple(_make_image(root, open_image(root, path, path.name), subsets) for path in rest)


def _make_xml(image: LabelledImage, name: str) -> str:
    objects = "".join(_make_object(one) for one in image.known_objects)
    return (
        "<annotation>\n"
        f"\t<folder>JPEGImages</folder>\n\t<filename>{escape(name)}</filename>\n"
        f"\t<size>\n\t\t<width>{image.width}</width>\n\t\t<height>{image.height}</height>\n"
        "\t\t<depth>3</depth>\n\t</size>\n\t<segmented>0</segmented>\n"
        f"{objects}</annotation>\n"
    )


def _make_object(one: LabelledObject) -> str:
    sides = zip(_SIDES, _to_voc(one.xyxy), strict=True)
    box = "".join(f"\t\t\t<{tag}>{format_number(side)}</{tag}>\n" for tag, side in sides)
    return (
        f"\t<object>\n\t\t<name>{escape(one.label)}</name>\n\t\t<pose>Unspecified</pose>\n"
        f"\t\t<truncated>{one.truncated:d}</truncated>\n"
        f"\t\t<difficult>{one.difficult:d}</difficult>\n"
        f"\t\t<bndbox>\n{box}\t\t</bndbox>\n\t</object>\n"
    )


def _to_voc(xyxy: Xyxy) -> tuple[int, int, int, int]:
    """Whole pixels, at least one each way: many readers take nothing else."""
    x0, y0, x1, y1 = (round(side) for side in xyxy)
    return x0 + 1, y0 + 1, max(x1, x0 + 1), max(y1, y0 + 1)
