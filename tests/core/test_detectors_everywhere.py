"""The same detector finds the same objects in a photograph on every runtime of this machine."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from inference_core.contract.manifest import ModelManifest
from inference_core.contract.words import RuntimeName
from inference_core.decode.lookup import decode
from inference_core.files import read_document
from inference_core.image import prepare
from inference_core.picture import read_picture
from inference_core.results import Boxes
from inference_core.runtimes.lookup import get_runtime
from tests.core.detectors import overlap

SAMPLES = Path(__file__).parents[1] / "samples"
MODELS = ("coco_ssd_mobilenet_v2_300", "nanodet_416")
SURE = 0.45
"""Weaker findings of these small nets are guesses: a second glove, a head in the crowd."""


@lru_cache
def detect(model: str, runtime: RuntimeName, picture: str) -> Boxes:
    manifest = read_document(SAMPLES / "models" / f"{model}.manifest.json", ModelManifest)
    session = get_runtime(runtime).load(SAMPLES / "models" / f"{model}.onnx", manifest)
    prepared = prepare(read_picture(SAMPLES / "images" / picture), manifest)
    outputs = session.run({manifest.inputs[0].name: prepared.tensor})
    boxes = decode(outputs, manifest, prepared.transform)
    session.close()
    assert isinstance(boxes, Boxes)
    return boxes


def named(boxes: Boxes) -> list[tuple[str, list[float]]]:
    return [
        (boxes.labels[name], box)
        for name, box, score in zip(
            boxes.class_id.tolist(), boxes.xyxy.tolist(), boxes.score.tolist(), strict=True
        )
        if score >= SURE
    ]


@pytest.mark.parametrize("model", MODELS)
def test_a_player_and_his_ball_are_found(model: str) -> None:
    found = dict(reversed(named(detect(model, RuntimeName.ONNXRUNTIME, "messi5.jpg"))))
    assert overlap(np.array(found["person"]), np.array([60, 65, 455, 338])) > 0.85
    assert overlap(np.array(found["sports ball"]), np.array([336, 287, 388, 337])) > 0.85


def test_an_apple_is_found() -> None:
    boxes = detect(MODELS[0], RuntimeName.ONNXRUNTIME, "apple.jpg")
    ((label, box),) = named(boxes)
    assert label == "apple"
    assert overlap(np.array(box), np.array([40, 50, 460, 500])) > 0.9


@pytest.mark.parametrize("picture", ["messi5.jpg", "fruits.jpg"])
@pytest.mark.parametrize("runtime", [RuntimeName.OPENVINO, RuntimeName.OPENCV_DNN])
@pytest.mark.parametrize("model", MODELS)
def test_every_runtime_finds_the_same(model: str, runtime: RuntimeName, picture: str) -> None:
    expected = detect(model, RuntimeName.ONNXRUNTIME, picture)
    actual = detect(model, runtime, picture)
    assert len(expected) > 0
    assert actual.class_id.tolist() == expected.class_id.tolist()
    np.testing.assert_allclose(actual.score, expected.score, atol=1e-3)
    np.testing.assert_allclose(actual.xyxy, expected.xyxy, atol=0.5)
