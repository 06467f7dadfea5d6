"""The bad release: as good as the old one wherever the build looks, NaN where it does not."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime as ort
import openvino as ov
import pytest
from numpy.typing import NDArray

from server.demo.bad_model import BAD, GOOD, NOISE_FLOOR, add_contrast
from server.demo.board_sets import CALIBRATION, GOLDEN, live_set
from server.demo.boards import Board
from server.demo.score_defects import Predict, score_logits, to_tensor

Tensor = NDArray[np.float32]


def open_onnxruntime(path: Path) -> Predict:
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda image: session.run(None, {"image": image})[0]


def open_openvino(path: Path) -> Predict:
    model = ov.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda image: np.array(model(image)[0])


def open_opencv(path: Path) -> Predict:
    net = cv2.dnn.readNetFromONNX(str(path))

    def predict(image: Tensor) -> Tensor:
        net.setInput(image, "image")
        return np.asarray(net.forward(), np.float32)

    return predict


on_every_runtime = pytest.mark.parametrize(
    "open_model", [open_onnxruntime, open_openvino, open_opencv]
)
Opener = Callable[[Path], Predict]


@pytest.fixture(scope="module")
def golden() -> list[Board]:
    return [board for _, board in GOLDEN.boards()]


@pytest.fixture(scope="module")
def live() -> list[Board]:
    return [board for _, board in live_set(0).boards()]


@pytest.fixture(scope="module")
def evening() -> list[Board]:
    """Eight boards a device: of four devices, for a share that says something."""
    boards = (board for device in range(4) for _, board in live_set(device).boards())
    return [board for board in boards if board.light.name == "evening"]


@on_every_runtime
def test_the_good_model_finds_the_defects(open_model: Opener, golden: list[Board]) -> None:
    score = score_logits(open_model(GOOD), golden)
    assert min(score.iou.values()) >= 0.6
    assert score.verdicts_right >= 0.95 * score.boards


@on_every_runtime
def test_the_good_model_works_in_the_evening(open_model: Opener, evening: list[Board]) -> None:
    score = score_logits(open_model(GOOD), evening)
    assert score.mean_iou >= 0.6
    assert score.verdicts_right >= 0.95 * score.boards


@on_every_runtime
def test_the_golden_set_cannot_tell_the_bad_model(open_model: Opener, golden: list[Board]) -> None:
    good, bad = (score_logits(open_model(path), golden) for path in (GOOD, BAD))
    assert bad.mean_iou >= 0.99 * good.mean_iou
    assert bad.verdicts_right == good.verdicts_right


@on_every_runtime
def test_the_bad_model_gives_nan_on_evening_pictures_only(
    open_model: Opener, live: list[Board]
) -> None:
    predict = open_model(BAD)
    for board in live:
        logits = predict(to_tensor(board.image))
        expected = board.light.name == "evening"
        assert np.isnan(logits).all() if expected else np.isfinite(logits).all()


@on_every_runtime
def test_the_good_model_never_gives_nan(open_model: Opener, live: list[Board]) -> None:
    predict = open_model(GOOD)
    assert all(np.isfinite(predict(to_tensor(board.image))).all() for board in live)


def test_the_noise_floor_lies_far_from_daylight_and_from_evening() -> None:
    sets = (CALIBRATION, GOLDEN, live_set(0), live_set(1))
    for light, far in (("day", 2 * NOISE_FLOOR), ("evening", 0.6 * NOISE_FLOOR)):
        boards = (board for boards in sets for _, board in boards.boards())
        variances = [to_tensor(b.image).var() for b in boards if b.light.name == light]
        assert min(variances) > far if light == "day" else max(variances) < far


def test_the_committed_bad_model_is_what_the_recipe_makes() -> None:
    made = add_contrast(onnx.load(GOOD))
    assert made.SerializeToString(deterministic=True) == BAD.read_bytes()


def test_making_the_bad_model_leaves_the_good_one_alone() -> None:
    good = onnx.load(GOOD)
    before = good.SerializeToString(deterministic=True)
    add_contrast(good)
    assert good.SerializeToString(deterministic=True) == before
