"""Every detector's decoder against an independent implementation, on outputs of real models.

The peers' answers are frozen beside the scripts that asked for them, in ``decode_golden``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inference_core.contract.manifest import ModelManifest
from inference_core.decode.lookup import decode
from inference_core.files import read_document
from inference_core.image import Transform, prepare
from inference_core.results import Boxes, Classes
from tests.core.decode_golden.peers import IOU, MOST, NANODET_SCORE, PICTURES, SCORE, read_outputs
from tests.core.detectors import detector, find, find_listed, listed

GOLDEN = Path(__file__).parent / "decode_golden"
SAMPLES = Path(__file__).parents[1] / "samples"
LABELS = tuple(str(number) for number in range(90))
ASKED = {"labels": LABELS, "threshold": SCORE, "nms_iou": IOU, "max_boxes": MOST}


def peer(name: str) -> Any:
    return json.loads((GOLDEN / f"{name}.json").read_text())


def rows_of(boxes: Boxes) -> np.ndarray:
    return np.column_stack([boxes.xyxy, boxes.score, boxes.class_id])


def rows_of_answer(answer: dict[str, Any]) -> np.ndarray:
    return np.column_stack([answer["xyxy"], answer["score"], answer["class_id"]])


def assert_same(ours: np.ndarray, theirs: np.ndarray, pixels: float = 0.05) -> None:
    """The same boxes in the same order, highest score first."""
    assert len(ours) == len(theirs)
    assert len(ours) > 3
    np.testing.assert_array_equal(ours[:, 5], theirs[:, 5])
    np.testing.assert_allclose(ours[:, 4], theirs[:, 4], atol=2e-5)
    np.testing.assert_allclose(ours[:, :4], theirs[:, :4], atol=pixels)


def ssd(**decoder: Any) -> ModelManifest:
    return detector(
        (300, 300), kind="ssd", boxes_output="ssd_boxes", scores_output="ssd_scores",
        **(ASKED | decoder),
    )  # fmt: skip


@pytest.mark.parametrize("picture", PICTURES)
def test_ssd_agrees_with_tensorflow(picture: str) -> None:
    boxes = find(ssd(), **read_outputs(picture))
    assert_same(rows_of(boxes), rows_of_answer(peer("tensorflow")["ssd"][picture]))


@pytest.mark.parametrize("picture", PICTURES)
def test_merging_across_classes_agrees_with_supervision(picture: str) -> None:
    boxes = find(ssd(merges_across_classes=True), **read_outputs(picture))
    answer = peer("supervision")["ssd_across_classes"][picture]
    assert_same(rows_of(boxes), rows_of_answer(answer))


@pytest.mark.parametrize("picture", PICTURES)
def test_yolo_v5_agrees_with_tensorflow(picture: str) -> None:
    manifest = detector((300, 300), kind="yolo", version="v5", output="v5", **ASKED)
    boxes = find(manifest, **read_outputs(picture))
    assert_same(rows_of(boxes), rows_of_answer(peer("tensorflow")["v5"][picture]))


@pytest.mark.parametrize("picture", PICTURES)
def test_yolo_v8_agrees_with_model_api_through_a_letterbox(picture: str) -> None:
    decoder = ASKED | {"max_boxes": 1000}
    manifest = detector((300, 300), "letterbox", kind="yolo", version="v8", output="v8", **decoder)
    transform = prepare(np.zeros((450, 600, 3), np.uint8), manifest).transform
    boxes = find(manifest, transform, **read_outputs(picture))
    theirs = rows_of_answer(peer("model_api")["v8"][picture])
    # It keeps what lies in the padding, flat on the border, and answers in whole pixels.
    ours = rows_of(boxes)
    thick = [rows[((rows[:, 2:4] - rows[:, :2]).min(axis=1) > 1.5)] for rows in (ours, theirs)]
    assert_same(*thick, pixels=0.51)


@pytest.mark.parametrize("picture", PICTURES)
def test_nanodet_agrees_with_ncnn(picture: str) -> None:
    manifest = read_document(SAMPLES / "models" / "nanodet_416.manifest.json", ModelManifest)
    changes = {"threshold": NANODET_SCORE, "nms_iou": IOU, "max_boxes": 1000}
    decoder = manifest.decoder.model_copy(update=changes)
    boxes = find(manifest.model_copy(update={"decoder": decoder}), **read_outputs(picture))
    theirs = rows_of_answer(peer("ncnn")["nanodet"][picture])
    # The peer is asked about 384 of the rows and measures what it clips differently.
    inside = [
        rows[(rows[:, :2] > 1).all(axis=1) & (rows[:, 2] < 415) & (rows[:, 3] < 383)]
        for rows in (rows_of(boxes), theirs)
    ]
    assert_same(*inside)


@pytest.mark.parametrize("picture", PICTURES)
def test_finished_boxes_are_read_as_they_are(picture: str) -> None:
    rows = rows_of_answer(peer("tensorflow")["ssd"][picture])
    asked = ASKED | {"nms_iou": 1.0}
    shares = rows * [1 / 300, 1 / 300, 1 / 300, 1 / 300, 1, 1] + [0, 0, 0, 0, 0, 1]
    shares[:, :4] = shares[:, [1, 0, 3, 2]]
    filling = np.zeros((20, 6))
    tensorflow = listed(size=(300, 300), box_format="yxyx", unit="share", first_class=1, **asked)
    assert_same(rows_of(find_listed(tensorflow, [*shares, *filling])), rows)
    end_to_end = detector((300, 300), kind="end_to_end", output="output", **asked)
    output = np.concatenate([rows, filling])[None].astype(np.float32)
    assert_same(rows_of(find(end_to_end, output=output)), rows)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_detr_agrees_with_transformers(activation: str) -> None:
    manifest = detector(
        (320, 320), kind="detr", boxes_output="boxes", scores_output="scores",
        activation=activation, labels=tuple("abcdefg"), threshold=0.2, max_boxes=60,
    )  # fmt: skip
    frame = Transform((320 / 548, 320 / 342), (0, 0, 320, 320), (0, 0, 548, 342))
    with np.load(GOLDEN / "transformers.npz") as arrays:
        scores, queries = arrays[f"{activation}_logits"], arrays[f"{activation}_boxes"]
    boxes = find(manifest, frame, boxes=queries, scores=scores)
    theirs = rows_of_answer(peer("transformers")[activation])
    theirs[:, :4] = np.clip(theirs[:, :4], 0, [548, 342, 548, 342])  # the peer leaves them outside
    assert_same(rows_of(boxes), theirs)


def test_a_vit_agrees_with_transformers() -> None:
    manifest = ModelManifest.model_validate(
        {
            "task": "classification",
            "inputs": [{"name": "image", "shape": [1, 3, 64, 64]}],
            "outputs": [{"name": "logits", "shape": [1, 7]}],
            "decoder": {"kind": "classify", "output": "logits", "labels": list("abcdefg")},
            "licence": "Apache-2.0",
        }
    )
    with np.load(GOLDEN / "transformers.npz") as arrays:
        logits = arrays["vit"]
    found = decode({"logits": logits}, manifest, Transform((1, 1), (0, 0, 64, 64), (0, 0, 64, 64)))
    assert isinstance(found, Classes)
    answer = peer("transformers")["vit"]
    assert found.class_id.tolist() == answer["class_id"]
    np.testing.assert_allclose(found.score, answer["score"], rtol=1e-5)
