"""Sets as other people's tools lay them out, read with their own conventions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from inference_core.datasets.formats import read_set
from inference_core.datasets.labelled import LabelledImage
from inference_core.datasets.problem import DatasetError, Notes
from tests.core.datasets.labelled_sets import make_picture

LABELIMG = """<annotation verified="yes">
	<folder>parts</folder><filename>{name}</filename><path>C:\\Users\\me\\parts\\{name}</path>
	<source><database>Unknown</database></source>
	<size><width>64</width><height>48</height><depth>3</depth></size><segmented>0</segmented>
	<object><name>scratch</name><pose>Unspecified</pose><truncated>1</truncated>
		<difficult>0</difficult>
		<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>64</xmax><ymax>48</ymax></bndbox></object>
	<object><name>dent</name>
		<bndbox><xmin>11</xmin><ymin>21.0</ymin><xmax>11</xmax><ymax>30</ymax></bndbox></object>
</annotation>
"""


def read_all(name: str, folder: Path) -> tuple[dict[str, LabelledImage], tuple[str, ...]]:
    notes = Notes()
    labelled = read_set(name, folder, notes)
    return {image.name: image for image in labelled.images}, notes.lines


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_voc_box_over_all_pixels_is_the_whole_picture(tmp_path: Path) -> None:
    """1-based and inclusive: 1…64 are 64 pixels, and a box of one column has an area."""
    make_picture(tmp_path / "a.png")
    write(tmp_path / "a.xml", LABELIMG.format(name="a.png"))

    images, told = read_all("voc", tmp_path)

    whole, column = images["a.png"].known_objects
    assert (whole.label, whole.xyxy, whole.truncated) == ("scratch", (0, 0, 64, 48), True)
    assert (column.label, column.xyxy, column.difficult) == ("dent", (10, 20, 11, 30), False)
    assert told == ()


def test_a_voc_devkit_gives_its_lists_as_subsets(tmp_path: Path) -> None:
    for name in ("a", "b"):
        make_picture(tmp_path / "JPEGImages" / f"{name}.jpg", shade=ord(name))
        write(tmp_path / "Annotations" / f"{name}.xml", LABELIMG.format(name=f"{name}.jpg"))
    write(tmp_path / "ImageSets/Main/train.txt", "a\n")
    write(tmp_path / "ImageSets/Main/val.txt", "b\n")
    write(tmp_path / "ImageSets/Main/trainval.txt", "a\nb\n")
    write(tmp_path / "ImageSets/Main/dent_train.txt", "a -1\n")

    images, _ = read_all("voc", tmp_path)

    assert {name: image.subset for name, image in images.items()} == {
        "a.jpg": "train",
        "b.jpg": "valid",
    }


def test_a_pair_of_files_that_a_person_renamed_is_still_a_pair(tmp_path: Path) -> None:
    make_picture(tmp_path / "new.png")
    write(tmp_path / "new.xml", LABELIMG.format(name="old.png"))

    images, _ = read_all("voc", tmp_path)

    assert len(images["new.png"].known_objects) == 2


def test_labelimgs_yolo_folder_has_everything_side_by_side(tmp_path: Path) -> None:
    make_picture(tmp_path / "a.png")
    make_picture(tmp_path / "b.png", shade=9)
    write(tmp_path / "classes.txt", "dent\nscratch\n")
    write(tmp_path / "a.txt", "1 0.5 0.5 0.25 0.5\n")

    images, told = read_all("yolo", tmp_path)

    (one,) = images["a.png"].known_objects
    assert (one.label, one.xyxy) == ("scratch", (24, 12, 40, 36))
    assert images["b.png"].objects == ()
    assert told == (
        "1 pictures have no label file, which means that nothing is there (first: b.png)",
    )


def test_roboflows_yolo_export_leads_one_folder_too_high_and_is_understood(tmp_path: Path) -> None:
    for subset, row in (("train", "0 0.5 0.5 1 1"), ("valid", "0 0 0 1 0 1 1")):
        make_picture(tmp_path / subset / "images" / "a.jpg", shade=len(subset))
        write(tmp_path / subset / "labels" / "a.txt", row)
    write(
        tmp_path / "data.yaml",
        "train: ../train/images\nval: ../valid/images\n\nnc: 1\nnames: ['dent']\n"
        "roboflow:\n  workspace: me\n",
    )

    labelled = read_set("yolo", tmp_path, Notes())

    found = {image.subset: image.known_objects[0] for image in labelled.images}
    assert found["train"].xyxy == (0, 0, 64, 48)
    assert found["valid"].rings == (((0, 0), (64, 0), (64, 48)),)


def test_ultralytics_lists_of_pictures_are_read(tmp_path: Path) -> None:
    make_picture(tmp_path / "images" / "a.jpg")
    make_picture(tmp_path / "images" / "unlisted.jpg", shade=4)
    write(tmp_path / "labels" / "a.txt", "0 0.5 0.5 1 1")
    write(tmp_path / "train.txt", "./images/a.jpg\n")
    write(tmp_path / "data.yaml", "path: .\ntrain: train.txt\nnames:\n  0: dent\n")

    images, _ = read_all("yolo", tmp_path)

    assert list(images) == ["images/a.jpg"]
    assert images["images/a.jpg"].subset == "train"


def coco(**changes: object) -> dict[str, object]:
    document: dict[str, object] = {
        "images": [{"id": 7, "file_name": "a.png", "width": 64, "height": 48}],
        "categories": [
            {"id": 0, "name": "parts", "supercategory": "none"},
            {"id": 2, "name": "dent", "supercategory": "parts"},
        ],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 2, "bbox": [1, 2, 10, 20], "iscrowd": 0}
        ],
    }
    return {**document, **changes}


def write_coco(folder: Path, **changes: object) -> Path:
    make_picture(folder / "train" / "a.png")
    write(folder / "train" / "_annotations.coco.json", json.dumps(coco(**changes)))
    return folder


def test_roboflows_coco_export_is_read_without_its_parent_class(tmp_path: Path) -> None:
    images, told = read_all("coco", write_coco(tmp_path))

    (one,) = images["a.png"].known_objects
    assert (one.label, one.xyxy) == ("dent", (1, 2, 11, 22))
    assert images["a.png"].subset == "train"
    assert told == ("1 classes that only group others were left out (first: parts)",)


def test_cocos_own_layout_is_read(tmp_path: Path) -> None:
    make_picture(tmp_path / "val2017" / "a.png")
    write(tmp_path / "annotations" / "instances_val2017.json", json.dumps(coco()))
    write(tmp_path / "annotations" / "captions_val2017.json", "{}")

    images, _ = read_all("coco", tmp_path)

    assert images["a.png"].subset == "val2017"


CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version><meta><job><labels>
<label><name>bolt</name><attributes></attributes></label><label><name>part</name></label>
</labels></job></meta>
<image id="0" name="sub/a.png" subset="Validation" task_id="3" width="64" height="48">{}</image>
</annotations>
"""


def read_cvat(folder: Path, shapes: str) -> tuple[LabelledImage, tuple[str, ...]]:
    make_picture(folder / "images" / "Validation" / "sub" / "a.png")
    write(folder / "annotations.xml", CVAT.format(shapes))
    images, told = read_all("cvat", folder)
    return images["sub/a.png"], told


def test_cvat_shapes_are_read(tmp_path: Path) -> None:
    image, told = read_cvat(
        tmp_path,
        '<tag label="part"></tag>'
        '<box label="bolt" occluded="1" xtl="1.5" ytl="2" xbr="10" ybr="12" z_order="0">'
        '<attribute name="difficult">true</attribute></box>'
        '<polygon label="bolt" points="1,1;5,1;5,5" group_id="4"></polygon>'
        '<polygon label="bolt" points="8,8;9,8;9,9" group_id="4"></polygon>'
        '<points label="bolt" points="3,3"></points>',
    )

    box, outlined = image.known_objects
    assert (box.xyxy, box.difficult) == ((1.5, 2, 10, 12), True)
    assert (len(outlined.rings), outlined.xyxy) == (2, (1, 1, 9, 9))
    assert (image.subset, image.label) == ("valid", "part")
    assert told == ("1 shapes of the kind points were left out (first: annotations.xml:5)",)


def test_a_rotated_box_becomes_a_polygon_and_is_told_of(tmp_path: Path) -> None:
    image, told = read_cvat(
        tmp_path,
        '<box label="bolt" xtl="10" ytl="20" xbr="30" ybr="26" rotation="90.0"></box>',
    )

    (one,) = image.known_objects
    assert one.xyxy == pytest.approx((17, 13, 23, 33))
    assert told == ("1 rotated boxes became polygons (first: annotations.xml:5)",)


def test_pictures_with_tags_alone_are_a_classification_set(tmp_path: Path) -> None:
    image, _ = read_cvat(tmp_path, '<tag label="part"></tag>')

    assert (image.label, image.objects) == ("part", None)


def test_cvat_for_video_is_refused_with_the_way_out(tmp_path: Path) -> None:
    write(tmp_path / "annotations.xml", "<annotations><track id='0'/></annotations>")

    with pytest.raises(DatasetError, match="export as CVAT for images"):
        read_set("cvat", tmp_path, Notes())


def test_boxes_beyond_the_picture_are_cut_and_empty_ones_left_out(tmp_path: Path) -> None:
    annotations = [
        {"image_id": 7, "category_id": 2, "bbox": box}
        for box in ([-5, 0, 10, 10], [70, 0, 10, 10], [3, 3, 0, 5])
    ]

    images, told = read_all("coco", write_coco(tmp_path, annotations=annotations))

    assert [one.xyxy for one in images["a.png"].known_objects] == [(0, 0, 5, 10)]
    assert "1 boxes reached beyond their picture and were cut" in told[1]
    assert "2 boxes without an area in their picture were left out" in told[2]
    assert "_annotations.coco.json: annotations.1" in told[2]


def test_equal_pictures_are_told_of_by_name(tmp_path: Path) -> None:
    make_picture(tmp_path / "a.png", shade=3)
    make_picture(tmp_path / "b.png", shade=3)
    write(tmp_path / "classes.txt", "dent\n")

    _, told = read_all("yolo", tmp_path)

    assert "1 pictures have the bytes of another one (first: b.png = a.png)" in told
