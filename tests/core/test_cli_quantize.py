"""``infer quantize``: real pictures or nothing, and an honest word on the result."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from inference_core import cli
from inference_core.commands.loading import load_for_cli
from inference_core.optimize.agreement import measure_agreement
from inference_core.results import Boxes, Classes, TextLines
from tests.core.onnx_models import brightness_manifest, brightness_model, save

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "model.manifest.json").write_bytes(brightness_manifest().to_json())
    return save(brightness_model(), tmp_path / "model.onnx")


def infer(*arguments: str) -> dict[str, Any]:
    """In a process of its own: NNCF prints to standard output, and must not get through."""
    command = [sys.executable, "-m", "inference_core", *arguments, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def draw_pictures(folder: Path, count: int) -> Path:
    """Grey with a dark and a bright square, each somewhere else."""
    folder.mkdir()
    rng = np.random.default_rng(7)
    for number in range(count):
        picture = np.full((32, 48, 3), 127, np.uint8)
        for value in (20, 240):
            x, y = rng.integers(0, 30), rng.integers(0, 18)
            picture[y : y + 12, x : x + 12] = value
        cv2.imwrite(str(folder / f"{number:03}.png"), picture)
    return folder


@pytest.mark.parametrize(("runtime", "suffix"), [("onnxruntime", ".onnx"), ("openvino", ".zip")])
def test_it_writes_an_artifact_that_runs_at_once(
    model: Path, tmp_path: Path, runtime: str, suffix: str
) -> None:
    pictures = draw_pictures(tmp_path / "line", 40)
    arguments = ["--calibration", str(pictures), "-o", str(tmp_path / "out"), "--runtime", runtime]
    made = infer("quantize", str(model), *arguments)
    artifact = tmp_path / "out" / f"model.int8{suffix}"
    assert made["artifact"] == str(artifact)
    assert (made["calibration_pictures"], made["agreement_pictures"]) == (32, 8)
    assert made["agreement"] > 0.9
    seen = infer("run", str(artifact), str(pictures / "000.png"))
    assert {region["label"] for region in seen["results"]} == {"dark", "bright"}


def test_people_read_that_it_is_not_certified(model: Path, tmp_path: Path, capfd: Capture) -> None:
    pictures = draw_pictures(tmp_path / "line", 10)
    target = str(tmp_path / "small.onnx")
    assert cli.main(["quantize", str(model), "--calibration", str(pictures), "-o", target]) == 0
    said = capfd.readouterr()
    assert "10 pictures are few" in said.err
    assert "too few to trust" in said.out
    assert "Not certified: infer build" in said.out
    assert load_for_cli(tmp_path / "small.onnx").manifest.task == "segmentation"


def test_without_real_pictures_nothing_is_made(model: Path, tmp_path: Path, capfd: Capture) -> None:
    few = draw_pictures(tmp_path / "few", 3)
    for folder, complaint in ((few, "holds 3 pictures"), (tmp_path / "gone", "is no folder")):
        arguments = ["--calibration", str(folder), "-o", str(tmp_path / "out")]
        assert cli.main(["quantize", str(model), *arguments]) == cli.EXIT_WRONG_USE
        assert complaint in capfd.readouterr().err
    with pytest.raises(SystemExit) as ended:
        cli.main(["quantize", str(model), "-o", str(tmp_path / "out")])
    assert ended.value.code == cli.EXIT_WRONG_USE
    assert not (tmp_path / "out").exists()


def test_it_does_not_write_over_the_model_or_under_a_wrong_name(
    model: Path, tmp_path: Path, capfd: Capture
) -> None:
    pictures = str(draw_pictures(tmp_path / "line", 8))
    for output, complaint in ((model, "is the model itself"), ("x.zip", "takes .onnx files")):
        arguments = ["--calibration", pictures, "-o", str(tmp_path / output)]
        assert cli.main(["quantize", str(model), *arguments]) == cli.EXIT_WRONG_USE
        assert complaint in capfd.readouterr().err


def test_a_place_that_cannot_be_written_to_is_named(
    model: Path, tmp_path: Path, capfd: Capture
) -> None:
    pictures = str(draw_pictures(tmp_path / "line", 8))
    (tmp_path / "file").touch()
    target = str(tmp_path / "file" / "small.onnx")
    assert cli.main(["quantize", str(model), "--calibration", pictures, "-o", target]) == 2
    assert "small.onnx cannot be written: " in capfd.readouterr().err


def test_a_finding_agrees_with_one_twin_only() -> None:
    def boxes(*xyxy: list[float], name: int = 0) -> Boxes:
        ids = np.full(len(xyxy), name, np.int64)
        return Boxes(("a", "b"), ids, np.ones(len(xyxy)), np.array(xyxy).reshape(-1, 4) * 1.0)

    one, moved, far = [0, 0, 10, 10], [0, 0, 10, 9], [50, 50, 60, 60]
    assert measure_agreement(boxes(), boxes()) == 1
    assert measure_agreement(boxes(one), boxes(moved)) == 1
    assert measure_agreement(boxes(one), boxes(one, moved)) == pytest.approx(2 / 3)
    assert measure_agreement(boxes(one), boxes(far)) == 0
    assert measure_agreement(boxes(one), boxes(one, name=1)) == 0


def test_classes_and_texts_agree_or_do_not() -> None:
    def classes(*ids: int) -> Classes:
        return Classes(("a", "b"), np.array(ids, np.int64), np.ones(len(ids)))

    assert measure_agreement(classes(0, 1), classes(0)) == 1
    assert measure_agreement(classes(0, 1), classes(1, 0)) == 0
    assert measure_agreement(_lines("A1"), _lines("A1")) == 1
    assert measure_agreement(_lines("A1"), _lines("A7")) == 0


def _lines(text: str) -> TextLines:
    return TextLines((text,), np.ones(1), (np.zeros((4, 2)),))
