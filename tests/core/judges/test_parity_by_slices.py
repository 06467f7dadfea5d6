"""A mean must not hide the evening shift."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from inference_core.contract.build import ParityFigures, ParityLimits
from inference_core.datasets import Dataset, DatasetError, read_dataset
from inference_core.optimize import parity
from inference_core.runtimes.onnxruntime import RUNTIME
from tests.core.build_jobs import write_pictures
from tests.core.judges.street import NANODET, sample_manifest
from tests.core.onnx_models import brightness_manifest, brightness_model, save
from tests.core.test_optimize import make_figures

LIMITS = ParityLimits()


def write_shifts(folder: Path, evenings: int) -> Dataset:
    """Sixteen pictures, the last of them of an evening when the lamp is out."""
    write_pictures(folder, seed=3, count=16)
    labels = folder / "labels.jsonl"
    lines = [json.loads(line) for line in labels.read_text().splitlines()]
    for number, line in enumerate(lines):
        is_evening = number >= len(lines) - evenings
        line["slices"] = {"light": "evening" if is_evening else "day"}
        if is_evening:
            picture = cv2.imread(str(folder / line["image"]))
            cv2.imwrite(str(folder / line["image"]), (picture * 0.8).astype(np.uint8))
    labels.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return read_dataset(folder)


def evaluate(golden: Dataset, folder: Path) -> parity.Evaluation:
    session = RUNTIME.load(save(brightness_model(), folder / "m.onnx"), brightness_manifest())
    return parity.evaluate(session, brightness_manifest(), golden)


def test_every_slice_has_its_own_figure(tmp_path: Path) -> None:
    evaluation = evaluate(write_shifts(tmp_path / "set", evenings=8), tmp_path)

    day, evening = evaluation.per_slice["light=day"], evaluation.per_slice["light=evening"]
    assert day > evaluation.value > evening


def test_a_slice_of_fewer_than_eight_images_is_left_out(tmp_path: Path) -> None:
    evaluation = evaluate(write_shifts(tmp_path / "set", evenings=7), tmp_path)

    assert set(evaluation.per_slice) == {"light=day"}


def test_a_lost_slice_is_refused_in_a_sentence() -> None:
    figures: ParityFigures = make_figures(
        per_slice={"light=day": (0.8, 0.82), "light=evening": (0.7, 0.6)}
    )

    assert parity.refuse_candidate("int8", figures, LIMITS) == (
        "int8 kept 85.7% of mean IoU where light=evening; at least 97.0% is asked of each slice"
    )


def test_a_coin_is_no_reference_for_an_anomaly_model() -> None:
    reading = parity.Reading(answer="good", score=0.5)

    coin = parity.Evaluation("auroc", 0.6, {}, (reading,))
    better = parity.Evaluation("auroc", 0.66, {}, (reading,))

    assert parity.refuse_reference(coin, LIMITS) == (
        "the reference itself reaches 0.60 AUROC on the golden set; "
        "below 0.65 a comparison proves nothing"
    )
    assert parity.refuse_reference(better, LIMITS) is None


def test_the_words_of_a_lost_class_are_those_of_the_metric() -> None:
    figures = make_figures(metric="accuracy", per_class={"dent": (1.0, 0.5)})

    assert parity.refuse_candidate("int8", figures, LIMITS) == (
        "int8 kept 50.0% of the recall of dent; at least 97.0% is asked of each class"
    )


def test_a_golden_set_without_one_object_cannot_judge_a_detector(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "set", seed=1, count=1)
    (folder / "labels.jsonl").write_text('{"image": "images/0.png", "boxes": []}\n')
    manifest = sample_manifest(NANODET)

    with pytest.raises(DatasetError, match="too uniform to measure mAP"):
        parity.evaluate(RUNTIME.load(NANODET, manifest), manifest, read_dataset(folder))
