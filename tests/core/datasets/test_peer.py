"""What the supervision package wrote is read as the boxes that it was given."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from inference_core.datasets.formats import read_set
from inference_core.datasets.problem import Notes
from tests.core.datasets.labelled_sets import make_picture
from tests.core.datasets.test_foreign_layouts import write

GOLDEN = json.loads((Path(__file__).parent / "supervision_golden/supervision.json").read_text())
PICTURES = {"voc": "JPEGImages", "yolo": "images", "coco": "."}


@pytest.mark.parametrize("name", PICTURES)
def test_its_boxes_are_read_to_a_hundredth_of_a_pixel(tmp_path: Path, name: str) -> None:
    for file, text in GOLDEN["files"][name].items():
        write(tmp_path / file, text)
    for number, picture in enumerate(GOLDEN["boxes"]):
        make_picture(tmp_path / PICTURES[name] / picture, shade=number)

    labelled = read_set(name, tmp_path, Notes())

    assert labelled.labels == tuple(GOLDEN["classes"])
    for image in labelled.images:
        boxes, numbers = GOLDEN["boxes"][image.name], GOLDEN["numbers"][image.name]
        found = image.known_objects
        assert [one.label for one in found] == [GOLDEN["classes"][n] for n in numbers]
        for one, box in zip(found, boxes, strict=True):
            assert one.xyxy == pytest.approx(box, abs=0.01)
