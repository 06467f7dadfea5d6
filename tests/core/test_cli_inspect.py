"""``infer inspect``: what it says with a manifest, without one, and of other formats."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from inference_core import cli
from inference_core.contract.build import InspectionResult
from tests.core.core_models import MODELS
from tests.core.recognise.exports import floats, ultralytics, write_export

SAMPLES = Path(__file__).parents[1] / "samples"
READER = MODELS / "chip-marking" / "model.onnx"

Capture = pytest.CaptureFixture[str]


def inspect(capsys: Capture, *arguments: object) -> dict[str, Any]:
    assert cli.main(["inspect", *map(str, arguments), "--json"]) == 0
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def test_a_foreign_model_is_recognised_and_its_licence_is_shown(
    tmp_path: Path, capsys: Capture
) -> None:
    model = write_export(tmp_path / "m.onnx", {"output0": floats(1, 7, 126)}, ultralytics())
    said = inspect(capsys, model)
    assert said["manifest_origin"] == "recognised: an export of Ultralytics YOLO"
    assert said["manifest"]["decoder"]["labels"] == ["person", "bicycle", "car"]
    assert (said["missing"], said["manifest_problem"]) == ([], None)
    assert said["report"]["metadata"]["license"].startswith("AGPL-3.0")
    assert cli.main(["inspect", str(model)]) == 0
    told = capsys.readouterr().out
    assert "licence   AGPL-3.0\n" in told
    assert "task      detection, 3 classes, yolo, 96×64\n" in told
    assert "metadata  stride = 32\n" in told


def test_what_is_missing_is_listed(tmp_path: Path, capsys: Capture) -> None:
    answers = {"dets": floats(1, 9, 4), "labels": floats(1, 9, 2)}
    said = inspect(capsys, write_export(tmp_path / "m.onnx", answers))
    assert (said["manifest"], said["missing"]) == (None, ["the labels"])
    assert "labels.txt" in said["manifest_problem"]


def test_the_manifest_beside_is_held_against_the_model(tmp_path: Path, capsys: Capture) -> None:
    said = inspect(capsys, READER)
    assert said["manifest_origin"] == "beside the model: manifest.json"
    assert said["manifest_problem"] is None
    shutil.copy(SAMPLES / "models" / "nanodet_416.onnx", tmp_path / "model.onnx")
    shutil.copy(MODELS / "chip-marking" / "manifest.json", tmp_path)
    assert (
        "the graph has no input 'x'" in inspect(capsys, tmp_path / "model.onnx")["manifest_problem"]
    )


def test_the_answer_stays_an_inspection_result(capsys: Capture) -> None:
    for arguments in ([READER], [READER, "--manifest", READER.with_name("manifest.json")]):
        result = InspectionResult.model_validate(inspect(capsys, *arguments))
        assert result.report is not None
        assert result.report.operators["Conv"] == 38


def test_a_skeleton_is_the_start_of_a_manifest(tmp_path: Path, capsys: Capture) -> None:
    model = shutil.copy(MODELS / "board-defects" / "model.onnx", tmp_path)
    assert cli.main(["inspect", str(model), "--skeleton"]) == 0
    skeleton = json.loads(capsys.readouterr().out)
    assert skeleton["decoder"]["labels"].startswith("FILL IN")
    assert len(skeleton["outputs"]) == 1


def test_other_formats_say_what_they_can(tmp_path: Path, capsys: Capture) -> None:
    with ZipFile(tmp_path / "m.zip", "w") as archive:
        archive.writestr("model.xml", "<net/>")
    said = inspect(capsys, tmp_path / "m.zip")
    assert said["kind"].startswith("OpenVINO")
    assert said["members"] == "model.xml (6 bytes)"
    assert "m.manifest.json" in said["manifest"]
    (tmp_path / "m.tflite").write_bytes(b"TFL3")
    assert inspect(capsys, tmp_path / "m.tflite")["kind"] == "TensorFlow Lite"


def test_a_broken_file_is_a_problem_and_an_absent_one_wrong_use(
    tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "m.onnx").write_bytes(b"\x08\x08garbage")
    assert cli.main(["inspect", str(tmp_path / "m.onnx")]) == cli.EXIT_GATE_FAILED
    assert "refused: the file is not an ONNX model" in capsys.readouterr().out
    assert cli.main(["inspect", str(tmp_path / "gone.onnx")]) == cli.EXIT_WRONG_USE
    assert "is no file that can be read" in capsys.readouterr().err


def test_limits_hold_without_a_manifest_too(tmp_path: Path) -> None:
    model = write_export(tmp_path / "m.onnx", {"output0": floats(1, 7, 126)}, ultralytics())
    command = [sys.executable, "-m", "inference_core", "inspect", str(model), "--json", "--limits"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(done.stdout)["manifest"]["licence"] == "AGPL-3.0"
