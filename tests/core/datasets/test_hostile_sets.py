"""Broken and hostile sets end in a ``DatasetError`` that names file and place, and in no other."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from inference_core.datasets.formats import FORMATS, read_set, write_set
from inference_core.datasets.labelled import LabelledObject, LabelledSet
from inference_core.datasets.problem import DatasetError, Notes
from inference_core.picture import read_picture
from tests.core.datasets.labelled_sets import make_image, make_picture
from tests.core.datasets.test_foreign_layouts import LABELIMG, coco, write, write_coco

BILLION_LAUGHS = """<?xml version="1.0"?>
<!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;">]>
<annotation><filename>&lol2;</filename></annotation>"""
EXTERNAL_ENTITY = """<?xml version="1.0"?>
<!DOCTYPE a [<!ENTITY secret SYSTEM "file:///etc/passwd">]>
<annotation><filename>&secret;</filename></annotation>"""


def refuse(name: str, folder: Path, match: str) -> None:
    with pytest.raises(DatasetError, match=match):
        read_set(name, folder, Notes())


@pytest.mark.parametrize("document", [BILLION_LAUGHS, EXTERNAL_ENTITY])
@pytest.mark.parametrize(("name", "file"), [("voc", "a.xml"), ("cvat", "annotations.xml")])
def test_a_document_type_is_refused_before_an_entity_is_read(
    tmp_path: Path, document: str, name: str, file: str
) -> None:
    write(tmp_path / file, document)

    refuse(name, tmp_path, rf"{file}:2: a document type is not accepted")


def test_elements_that_never_end_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "annotations.xml", "<a>" * 100_000)

    refuse("cvat", tmp_path, r"annotations\.xml:1: elements lie deeper than 32")


def test_an_unknown_encoding_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.xml", '<?xml version="1.0" encoding="klingon"?><annotation/>')

    refuse("voc", tmp_path, r"a\.xml")


@pytest.mark.parametrize("name", ["../secret.png", "/etc/passwd", "a/../../b.png", "C:\\a.png"])
def test_no_format_reads_a_picture_outside_its_folder(tmp_path: Path, name: str) -> None:
    make_picture(tmp_path / "secret.png")
    for folder in ("voc", "coco", "cvat", "yolo"):
        (tmp_path / folder).mkdir()
    write(tmp_path / "voc/a.xml", LABELIMG.format(name=name))
    image = {"id": 1, "file_name": name}
    write(
        tmp_path / "coco/_annotations.coco.json", json.dumps(coco(images=[image], annotations=[]))
    )
    write(
        tmp_path / "cvat/annotations.xml",
        f'<annotations><image name="{name}" width="64" height="48"/></annotations>',
    )
    write(tmp_path / "yolo/data.yaml", "names: [a]\ntrain: train.txt\n")
    write(tmp_path / "yolo/train.txt", f"{name}\n" if name.endswith("png") else "../x.png\n")

    for format_name in ("voc", "coco", "cvat", "yolo"):
        refuse(format_name, tmp_path / format_name, "no file name inside")


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    make_picture(tmp_path / "secret.png")
    folder = tmp_path / "set"
    write(folder / "classes.txt", "a\n")
    (folder / "link.png").symlink_to(tmp_path / "secret.png")

    refuse("yolo", folder, r"link\.png leads out of the dataset's folder")


@pytest.mark.parametrize("name", FORMATS)
def test_a_missing_picture_is_named(tmp_path: Path, name: str) -> None:
    (write_one(name, tmp_path / "set")).unlink()

    if name == "yolo":
        refuse(name, tmp_path / "set", "holds no picture")
    else:
        refuse(name, tmp_path / "set", r"a\.png is (missing|not a file)")


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("damage", ["cut", "text"])
def test_a_corrupt_picture_is_named(tmp_path: Path, name: str, damage: str) -> None:
    picture = write_one(name, tmp_path / "set")
    data = picture.read_bytes()
    picture.write_bytes(data[: len(data) // 2] if damage == "cut" else b"<html>")

    refuse(name, tmp_path / "set", r"the picture a\.png is broken")


@pytest.mark.parametrize("name", ["voc", "coco", "cvat"])
def test_labels_for_a_picture_of_another_size_are_refused(tmp_path: Path, name: str) -> None:
    picture = write_one(name, tmp_path / "set")
    make_picture(picture, size=(48, 64))

    refuse(name, tmp_path / "set", r"the labels are for 64×48 pixels, but a\.png has 48×64")


def turn_by_exif(picture: Path, order: str) -> None:
    """A camera that lay on its side: the tag says so, the pixels stay."""
    sign = "<" if order == "II" else ">"
    entry = struct.pack(f"{sign}HHIHH", 0x0112, 3, 1, 6, 0)
    directory = struct.pack(f"{sign}HIH", 42, 8, 1)
    tiff = order.encode() + directory + entry + bytes(4)
    data = picture.read_bytes()
    segment = b"\xff\xe1" + struct.pack(">H", len(tiff) + 8) + b"Exif\0\0" + tiff
    picture.write_bytes(data[:2] + segment + data[2:])


@pytest.mark.parametrize("order", ["II", "MM"])
def test_labels_for_a_picture_before_it_was_turned_upright_are_refused(
    tmp_path: Path, order: str
) -> None:
    """Models see it upright, as OpenCV decodes it; boxes would lie across the objects."""
    picture = make_picture(tmp_path / "a.jpg")
    turn_by_exif(picture, order)
    write(tmp_path / "a.xml", LABELIMG.format(name="a.jpg"))

    refuse("voc", tmp_path, "the labels are for 64×48 pixels, but a.jpg has 48×64")

    write(tmp_path / "classes.txt", "a\n")
    (image,) = read_set("yolo", tmp_path, Notes()).images
    assert read_picture(picture).shape[:2] == (image.height, image.width) == (64, 48)


def test_an_image_that_is_named_twice_is_refused(tmp_path: Path) -> None:
    image = {"file_name": "a.png", "width": 64, "height": 48}
    folder = write_coco(tmp_path, images=[{"id": 7, **image}, {"id": 8, **image}])

    refuse("coco", folder, r"the image train/a\.png is named a second time")


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"categories": [{"id": 2, "name": ""}]}, "no class name"),
        ({"categories": [{"id": 2, "name": "a"}, {"id": 2, "name": "b"}]}, "same id"),
        ({"annotations": [{"image_id": 9, "category_id": 2}]}, r"annotations\.0: there is no im"),
        ({"annotations": [{"image_id": 7, "category_id": 5}]}, "there is no category 5"),
        (
            {"annotations": [{"image_id": 7, "category_id": 2, "bbox": [1, 2, 3]}]},
            r"_annotations\.coco\.json: annotations\.0\.bbox",
        ),
        (
            {"annotations": [{"image_id": 7, "category_id": 2, "bbox": [1, 2, float("nan"), 4]}]},
            r"annotations\.0\.bbox",
        ),
        (
            {"annotations": [{"image_id": 7, "category_id": 2, "segmentation": [[1, 2, 3]]}]},
            "an x without a y",
        ),
        (
            {
                "annotations": [
                    {
                        "image_id": 7,
                        "category_id": 2,
                        "segmentation": {"size": [48, 64], "counts": [5, 10**12]},
                    }
                ]
            },
            "do not add up to 64×48",
        ),
        (
            {
                "annotations": [
                    {
                        "image_id": 7,
                        "category_id": 2,
                        "segmentation": {"size": [48, 64], "counts": "ooooooooo"},
                    }
                ]
            },
            "compressed mask",
        ),
    ],
)
def test_a_wrong_coco_file_is_refused_with_its_place(
    tmp_path: Path, changes: dict[str, object], match: str
) -> None:
    refuse("coco", write_coco(tmp_path, **changes), match)


@pytest.mark.parametrize(
    ("row", "match"),
    [
        ("x 0.5 0.5 1 1", r"a\.txt:2: 'x' is no whole number"),
        ("3 0.5 0.5 1 1", r"a\.txt:2: class 3 is none of the 1 classes"),
        ("-1 0.5 0.5 1 1", r"a\.txt:2: class -1 is none"),
        ("0 0.5 nan 1 1", r"a\.txt:2: 'nan' is no finite number"),
        ("0 0.5 0.5 1 1 0.93", r"a\.txt:2: 6 values; a box has 5"),
        ("0", r"a\.txt:2: 1 values"),
    ],
)
def test_a_wrong_yolo_row_is_refused_with_its_line(tmp_path: Path, row: str, match: str) -> None:
    make_picture(tmp_path / "a.png")
    write(tmp_path / "classes.txt", "dent\n")
    write(tmp_path / "a.txt", f"0 0.5 0.5 1 1\n{row}\n")

    refuse("yolo", tmp_path, match)


@pytest.mark.parametrize(
    ("index", "match"),
    [
        ("names: {0: a, 2: b}", "numbered from 0"),
        ("names: [a]\ntrain: /data/images", "no file name inside"),
        ("names: [a]\ntrain: images/absent", "is missing"),
        ("names: [a, a]", "declared twice"),
        ("names: [[a]]", "is no class name"),
        ("- a", "no keys"),
        ("a: &a [*a]\nnames: *a", "no class name|no YAML"),
        ("names: !!python/object/apply:os.system ['true']", "no YAML"),
    ],
)
def test_a_wrong_data_yaml_is_refused(tmp_path: Path, index: str, match: str) -> None:
    make_picture(tmp_path / "images" / "a.png")
    write(tmp_path / "data.yaml", index)

    refuse("yolo", tmp_path, match)


def test_numbers_without_classes_are_refused_with_the_way_out(tmp_path: Path) -> None:
    make_picture(tmp_path / "a.png")

    refuse("yolo", tmp_path, "neither data.yaml nor classes.txt")


def write_one(name: str, folder: Path) -> Path:
    """A set of one picture with a box and an outline; where its picture lies."""
    ring = ((1.0, 1.0), (9.0, 1.0), (5.0, 8.0))
    objects = (
        LabelledObject("dent", (1, 1, 9, 8), (ring,)),
        LabelledObject("a scratch", (2, 2, 40, 40), truncated=True),
    )
    image = make_image(folder.parent / "pictures", "a.png", objects)
    write_set(name, LabelledSet(("dent", "a scratch"), (image,)), folder, Notes())
    (picture,) = folder.rglob("a.png")
    return picture


def cut(data: bytes, dice: random.Random) -> bytes:
    return data[: dice.randrange(len(data))]


def flip(data: bytes, dice: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(dice.randrange(1, 6)):
        changed[dice.randrange(len(changed))] = dice.randrange(256)
    return bytes(changed)


def repeat(data: bytes, dice: random.Random) -> bytes:
    start, end = sorted(dice.randrange(len(data)) for _ in range(2))
    return data[:end] + data[start:end] + data[end:]


def swap_number(data: bytes, dice: random.Random) -> bytes:
    digits = [place for place, byte in enumerate(data) if chr(byte).isdigit()]
    place = dice.choice(digits)
    wild = dice.choice([b"1e999", b"-1", b"NaN", b"99999999999999999999", b'"x"', b"[]", b"null"])
    return data[:place] + wild + data[place + 1 :]


@pytest.mark.parametrize("damage", [cut, flip, repeat, swap_number])
@pytest.mark.parametrize("name", FORMATS)
def test_garbled_annotations_never_raise_anything_else(
    tmp_path: Path, name: str, damage: Callable[[bytes, random.Random], bytes]
) -> None:
    folder = tmp_path / "set"
    write_one(name, folder)
    files = [path for path in sorted(folder.rglob("*")) if path.suffix in SUFFIXES]
    dice = random.Random(f"{name} {damage.__name__}")
    refused = 0
    for _ in range(120):
        path = dice.choice(files)
        whole = path.read_bytes()
        path.write_bytes(damage(whole, dice))
        try:
            read_set(name, folder, Notes())
        except DatasetError:
            refused += 1
        path.write_bytes(whole)
    assert refused


SUFFIXES = {".xml", ".txt", ".yaml", ".json", ".jsonl"}


@pytest.mark.parametrize("name", FORMATS)
def test_a_folder_that_holds_nothing_is_refused(tmp_path: Path, name: str) -> None:
    refuse(name, tmp_path, str(tmp_path.name) + "|cannot be read")
    refuse(name, tmp_path / "absent", "is no folder")


def test_a_folder_that_is_not_empty_is_never_written_into(tmp_path: Path) -> None:
    image = make_image(tmp_path / "p", "a.png", ())
    write(tmp_path / "out" / "thesis.txt", "years of work")

    with pytest.raises(DatasetError, match="is not empty"):
        write_set("coco", LabelledSet((), (image,)), tmp_path / "out", Notes())

    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.txt"]


def test_a_writing_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    image = make_image(tmp_path / "p", "a.png", ())
    image.path.unlink()

    with pytest.raises(DatasetError, match=r"a\.png cannot be copied"):
        write_set("voc", LabelledSet((), (image,)), tmp_path / "out", Notes())

    assert sorted(path.name for path in tmp_path.iterdir()) == ["p"]
