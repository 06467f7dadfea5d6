"""Labels are counted once by class, and sets that share images are found."""

from __future__ import annotations

import json

import pytest

from server.datasets import labels
from server.datasets.labels import count_labels
from server.datasets.models import DatasetVersion, Purpose
from server.datasets.selectors import overlaps_of
from server.datasets.services import upload_dataset
from server.lib import blobs
from tests.server import catalogue
from tests.server.archives import pack, picture

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_blobs")]


def labelled() -> DatasetVersion:
    box = {"label": "scratch", "xyxy": [1, 2, 3, 4]}
    lines = [
        {"image": "0.png", "label": "board", "verdict": "fail", "boxes": [box, box]},
        {"image": "1.png", "label": "board", "text": "LM358"},
        {"image": "2.png", "boxes": []},
        {"image": "3.png"},
    ]
    files = {f"{seed}.png": picture(seed, kind=".png") for seed in range(4)}
    files["labels.jsonl"] = "\n".join(map(json.dumps, lines)).encode()
    return upload_dataset(
        name="mixed",
        version="1",
        purpose=Purpose.GOLDEN,
        notes="",
        file=pack(files),
        max_bytes=catalogue.MAX_BYTES,
        actor=catalogue.ACTOR,
    )


def test_every_kind_of_label_is_counted_and_silence_too() -> None:
    found = count_labels(labelled())

    assert found is not None
    assert found.classes == {"board": 2, "scratch": 2, "verdict fail": 1}
    assert found.kinds == {"texts": 1}
    assert found.unlabelled == 1, "empty boxes say that nothing is to be found"


def test_they_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = labelled()
    first = count_labels(dataset)
    monkeypatch.setattr(blobs, "open_blob", lambda *_: pytest.fail("it was read again"))

    assert count_labels(dataset) == first


def test_labels_that_are_too_long_or_lost_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = labelled()
    dataset.labels_sha256 = "0" * 64
    assert count_labels(dataset) is None
    monkeypatch.setattr(labels, "MAX_COUNTED_BYTES", 10)
    dataset.refresh_from_db()
    assert count_labels(dataset) is None


def test_a_golden_set_shares_with_neither_of_the_others() -> None:
    golden = catalogue.dataset(Purpose.GOLDEN, range(6))
    taught = catalogue.dataset(Purpose.TRAINING, range(4, 9))
    calibration = catalogue.dataset(Purpose.CALIBRATION, range(5, 9))
    catalogue.dataset(Purpose.GOLDEN, range(3), name="other-golden")

    found = {str(one.dataset): one.images for one in overlaps_of(golden)}
    assert found == {"boards-calibration 1": 1, "boards-training 1": 2}
    assert [str(one.dataset) for one in overlaps_of(calibration)] == ["boards-golden 1"]
    assert [str(one.dataset) for one in overlaps_of(taught)] == ["boards-golden 1"]
