"""Classes of the whole picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from inference_core.contract.manifest import ModelManifest
from inference_core.contract.words import RuntimeName
from inference_core.decode.lookup import decode
from inference_core.errors import DecodeFailed, NotFinite
from inference_core.files import read_document
from inference_core.image import Transform, prepare
from inference_core.picture import read_picture
from inference_core.results import Classes
from inference_core.runtimes.lookup import get_runtime

SAMPLES = Path(__file__).parents[1] / "samples"
ANGLES = json.loads((Path(__file__).parent / "text_golden" / "angles.json").read_text())["lines"]
TRANSFORM = Transform((1.0, 1.0), (0, 0, 8, 8), (0, 0, 8, 8))


def classifier(**decoder: Any) -> ModelManifest:
    labels = decoder.pop("labels", ("good", "scratch", "", "dent"))
    return ModelManifest.model_validate(
        {
            "task": "classification",
            "inputs": [{"name": "image", "shape": [1, 3, 8, 8]}],
            "outputs": [{"name": "scores", "shape": [1, None]}],
            "decoder": {"kind": "classify", "output": "scores", "labels": labels, **decoder},
            "licence": "Apache-2.0",
        }
    )


def classify(scores: Any, **decoder: Any) -> Classes:
    output = np.asarray(scores, np.float32)
    found = decode({"scores": output}, classifier(**decoder), TRANSFORM)
    assert isinstance(found, Classes)
    return found


LOGITS = [[1.0, 3.0, 9.0, 2.0]]


def test_softmax_is_over_all_columns_and_the_likeliest_come_first() -> None:
    found = classify(LOGITS, top=2)
    powers = np.exp(LOGITS[0])
    np.testing.assert_allclose(found.score, powers[[1, 3]] / powers.sum(), rtol=1e-5)
    assert found.class_id.tolist() == [1, 3]


def test_sigmoid_judges_each_class_for_itself() -> None:
    found = classify(LOGITS, activation="sigmoid")
    np.testing.assert_allclose(found.score, 1 / (1 + np.exp([-3.0, -2.0, -1.0])), rtol=1e-5)


def test_a_feature_map_of_one_cell_is_read_too() -> None:
    flat, cell = classify(LOGITS), classify(np.reshape(LOGITS, (1, 4, 1, 1)))
    assert flat.class_id.tolist() == cell.class_id.tolist()
    assert flat.score.tolist() == cell.score.tolist()


def test_calibration_follows_the_lines_between_its_knots() -> None:
    knots = [(0.2, 0.1), (0.6, 0.5), (0.8, 0.9)]
    scores = [[0.7, 0.1, 0.9, 0.95]]
    found = classify(scores, activation="none", calibration={"knots": knots})
    np.testing.assert_allclose(found.score, [0.9, 0.7, 0.1], rtol=1e-5)
    assert found.class_id.tolist() == [3, 0, 1]


@given(
    hnp.arrays(np.float32, (1, 9), elements=st.floats(-100, 100, width=32)),
    st.sampled_from(["softmax", "sigmoid"]),
    st.integers(1, 12),
)
def test_scores_are_probabilities_that_fall(scores: np.ndarray, activation: str, top: int) -> None:
    found = classify(scores, labels=tuple("abcdefghi"), activation=activation, top=top)
    assert len(found) == min(top, 9)
    assert (np.diff(found.score) <= 0).all()
    assert ((found.score >= 0) & (found.score <= 1)).all()
    if activation == "softmax" and top >= 9:
        assert found.score.sum() == pytest.approx(1, abs=1e-5)


def test_the_message_holds_label_and_score() -> None:
    (message,) = classify([[0.0, 0.75, 0.0, 0.25]], activation="none", top=1).to_fields()["classes"]
    assert (message.label, message.class_id, message.score) == ("scratch", 1, 0.75)


@pytest.mark.parametrize("shape", [(4,), (1, 5), (2, 4), (1, 4, 2, 1), (1, 1, 1, 4), ()])
def test_another_shape_is_refused_with_what_the_labels_need(shape: tuple[int, ...]) -> None:
    with pytest.raises(DecodeFailed, match="4 labels need 1×4"):
        classify(np.zeros(shape))


@pytest.mark.parametrize("logits", [LOGITS, [[-3.0, 0.1, 0.2, 0.3]]])
def test_logits_are_not_taken_for_probabilities(logits: list[list[float]]) -> None:
    with pytest.raises(DecodeFailed, match="set the decoder's activation"):
        classify(logits, activation="none")


def test_nan_is_refused() -> None:
    with pytest.raises(NotFinite):
        classify([[0.0, np.nan, 0.0, 0.0]])


@pytest.mark.parametrize("line", ANGLES, ids=lambda line: f"{line['picture']}-{line['xyxy']}")
def test_a_real_net_says_which_way_up_a_line_stands_as_rapidocr_does(line: dict[str, Any]) -> None:
    path = SAMPLES / "models" / "ppocr_v2_angle.onnx"
    manifest = read_document(path.with_suffix(".manifest.json"), ModelManifest)
    session = get_runtime(RuntimeName.ONNXRUNTIME).load(path, manifest)
    x0, y0, x1, y1 = line["xyxy"]
    picture = read_picture(SAMPLES / "images" / line["picture"])
    width = min(round(48 * (x1 - x0) / (y1 - y0)), 192)
    crop = cv2.resize(picture[y0:y1, x0:x1], (width, 48))
    turned = crop[::-1, ::-1] if line["is_turned"] else crop
    prepared = prepare(np.ascontiguousarray(turned), manifest)
    found = decode(session.run({"x": prepared.tensor}), manifest, prepared.transform)
    assert isinstance(found, Classes)
    assert found.labels[found.class_id[0]] == line["label"]
    assert found.score[0] == pytest.approx(line["score"], abs=2e-3)
