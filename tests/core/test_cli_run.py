"""``infer run``: what it says, and what its exit code means."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest

from inference_core import cli
from inference_core.commands.loading import MANIFEST_KEY
from tests.core.core_models import BOARD, DEMO, MODELS, board, sample_manifest
from tests.core.recognise.exports import floats, ultralytics, write_export

SAMPLES = Path(__file__).parents[1] / "samples"
PIPELINE = ["run", str(DEMO / "pipeline.yaml"), "--mm-per-px", "0.2"]
DETECTOR = ["run", str(SAMPLES / "models" / "coco_ssd_mobilenet_v2_300.onnx")]
READER = ["run", str(MODELS / "chip-marking" / "model.onnx")]
PHOTO = str(SAMPLES / "images" / "messi5.jpg")

Capture = pytest.CaptureFixture[str]


def answers(capfd: Capture) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capfd.readouterr().out.splitlines()]


def refuse(capfd: Capture, *arguments: str) -> str:
    """The one sentence that wrong use gets."""
    assert cli.main(arguments) == cli.EXIT_WRONG_USE
    complaint = capfd.readouterr().err
    assert complaint.count("\n") == 1
    return complaint


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino", "opencv_dnn"])
def test_a_pipeline_judges_a_picture(runtime: str, capfd: Capture) -> None:
    assert cli.main([*PIPELINE, str(BOARD), "--json", "--runtime", runtime]) == 0
    (answer,) = answers(capfd)
    assert (answer["task"], answer["verdict"], answer["reasons"]) == ("pipeline", "pass", [])
    (line,) = answer["results"]
    assert (line["stage"], line["text"]) == ("marking", "TDA1517P")
    assert [stage["stage"] for stage in answer["stages"]] == ["defects", "marking"]
    assert set(answer["latency_ms"]) == {"preprocess", "infer", "postprocess", "total"}


def test_a_detector_alone_answers_in_pixels_of_the_picture_and_judges_nothing(
    capfd: Capture,
) -> None:
    assert cli.main([*DETECTOR, PHOTO, "--json"]) == 0
    (answer,) = answers(capfd)
    assert list(answer) == ["image", "task", "results", "verdict", "latency_ms"]
    assert (answer["image"], answer["task"], answer["verdict"]) == (PHOTO, "detection", None)
    assert list(answer["results"][0]) == ["xyxy", "score", "class_id", "label"]
    assert {one["label"] for one in answer["results"]} == {"person", "sports ball"}
    height, width = cv2.imread(PHOTO).shape[:2]
    xyxy = np.array([one["xyxy"] for one in answer["results"]])
    assert (xyxy >= 0).all()
    assert (xyxy <= [width, height, width, height]).all()
    assert set(answer["latency_ms"]) == {"preprocess", "infer", "postprocess", "total"}


def test_a_reader_alone_answers_with_polygon_text_and_score(tmp_path: Path, capfd: Capture) -> None:
    cv2.imwrite(str(tmp_path / "word.png"), board()[345:368, 380:480])
    assert cli.main([*READER, str(tmp_path), "--json"]) == 0
    (answer,) = answers(capfd)
    (line,) = answer["results"]
    assert list(line) == ["polygon", "text", "score"]
    assert line["text"] == "CREATIVE"


def test_people_get_a_line_for_each_picture(tmp_path: Path, capfd: Capture) -> None:
    cv2.imwrite(str(tmp_path / "word.png"), board()[345:368, 380:480])
    assert cli.main([*READER, str(tmp_path)]) == 0
    said = capfd.readouterr().out
    assert "'CREATIVE'" in said
    assert "PASS" not in said


def test_overlays_are_written(tmp_path: Path) -> None:
    assert cli.main([*PIPELINE, str(BOARD), "--overlay", str(tmp_path / "out")]) == 0
    (drawn,) = (tmp_path / "out").iterdir()
    assert drawn.name == "000000-board.jpg"
    assert cv2.imread(str(drawn)).shape == (480, 640, 3)


def test_a_corrupt_picture_is_an_entry_and_the_rest_goes_on(tmp_path: Path, capfd: Capture) -> None:
    (tmp_path / "a.jpg").write_bytes(BOARD.read_bytes()[:2000])
    (tmp_path / "b.jpg").write_bytes(BOARD.read_bytes())
    assert cli.main([*PIPELINE, str(tmp_path), "--json"]) == cli.EXIT_WRONG_USE
    corrupt, whole = answers(capfd)
    assert corrupt["image"].endswith("a.jpg")
    assert (corrupt["verdict"], corrupt["results"]) == (None, [])
    assert "a.jpg" in corrupt["error"]
    assert whole["verdict"] == "pass"


def test_a_failed_part_is_a_result_and_no_error(capfd: Capture) -> None:
    assert cli.main([*PIPELINE[:-2], str(BOARD)]) == 0
    said = capfd.readouterr().out
    assert "FAIL" in said
    assert "no mm_per_px" in said


def test_a_broken_model_fails_the_part_and_the_command(tmp_path: Path, capfd: Capture) -> None:
    """Never null, which might be taken for well."""
    answer = np.full((1, 7, 126), np.nan, np.float32)
    model = write_export(tmp_path / "m.onnx", {"output0": answer}, ultralytics())
    assert cli.main(["run", str(model), PHOTO, "--json"]) == cli.EXIT_GATE_FAILED
    (said,) = answers(capfd)
    assert said["verdict"] == "fail"
    assert "NaN" in said["reasons"][0]


def test_a_foreign_model_runs_without_a_manifest(tmp_path: Path, capfd: Capture) -> None:
    answer = floats(1, 7, 126)
    answer[0, :, 5] = [48, 32, 20, 10, 0.1, 0.2, 0.9]
    model = write_export(tmp_path / "m.onnx", {"output0": answer}, ultralytics())
    assert cli.main(["run", str(model), PHOTO, "--json"]) == 0
    assert answers(capfd)[0]["results"][0]["label"] == "car"


def test_a_manifest_inside_the_model_is_enough(tmp_path: Path, capfd: Capture) -> None:
    model = onnx.load(str(MODELS / "board-defects" / "model.onnx"))
    manifest = sample_manifest("board-defects").to_json().decode()
    onnx.helper.set_model_props(model, {MANIFEST_KEY: manifest})
    onnx.save(model, str(tmp_path / "m.onnx"))
    assert cli.main(["run", str(tmp_path / "m.onnx"), str(BOARD), "--json"]) == 0
    assert answers(capfd)[0]["task"] == "segmentation"
    onnx.helper.set_model_props(model, {MANIFEST_KEY: '{"task": "fly"}'})
    onnx.save(model, str(tmp_path / "m.onnx"))
    assert "manifest inside m.onnx is broken: task" in refuse(
        capfd, "run", str(tmp_path / "m.onnx"), str(BOARD)
    )


def test_wrong_use_gets_one_sentence(tmp_path: Path, capfd: Capture) -> None:
    assert "does not exist" in refuse(capfd, *PIPELINE, str(tmp_path / "gone.jpg"))
    assert "hold no picture" in refuse(capfd, *PIPELINE, str(tmp_path))
    assert "does not exist; give" in refuse(capfd, "run", str(tmp_path / "m.onnx"), str(BOARD))
    assert "is a folder; give" in refuse(capfd, "run", str(tmp_path), str(BOARD))
    (tmp_path / "lonely.onnx").write_bytes(b"")
    assert "holds no ONNX graph" in refuse(capfd, "run", str(tmp_path / "lonely.onnx"), str(BOARD))
    (tmp_path / "model.bin").write_bytes(b"")
    assert "use .onnx, .zip" in refuse(
        capfd,
        *("run", str(tmp_path / "model.bin"), str(BOARD)),
        *("--manifest", str(MODELS / "chip-marking" / "manifest.json")),
    )
    (tmp_path / "broken.yaml").write_text("pipeline: x\nstages: [")
    assert "is no YAML" in refuse(capfd, "run", str(tmp_path / "broken.yaml"), str(BOARD))
    (tmp_path / "empty.yaml").write_text("pipeline: x")
    assert "is no PipelineSpec: stages: Field required" in refuse(
        capfd, "run", str(tmp_path / "empty.yaml"), str(BOARD)
    )
    shutil.copy(DEMO / "pipeline.yaml", tmp_path)
    assert "needs the model board-defects, and there is neither" in refuse(
        capfd, "run", str(tmp_path / "pipeline.yaml"), str(BOARD)
    )


@pytest.mark.parametrize(
    "option", ["--threads=0", "--threads=two", "--mm-per-px=-1", "--mm-per-px=nan"]
)
def test_numbers_that_make_no_sense_are_wrong_use(option: str, capfd: Capture) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([*DETECTOR, PHOTO, option])
    assert ended.value.code == cli.EXIT_WRONG_USE
    assert option.partition("=")[0] in capfd.readouterr().err


def test_a_runtime_that_does_not_read_such_files_says_what_does(capfd: Capture) -> None:
    said = refuse(capfd, *DETECTOR, PHOTO, "--runtime", "litert")
    assert "litert does not read .onnx files, it reads .tflite; make one" in said


def test_a_runtime_that_is_not_installed_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)  # as Python treats an absent package
    monkeypatch.delitem(sys.modules, "inference_core.runtimes.openvino", raising=False)
    said = refuse(capfd, *DETECTOR, PHOTO, "--runtime", "openvino")
    assert "pip install 'linewarden[openvino]'" in said


def test_a_video_gives_an_answer_for_each_frame(tmp_path: Path, capfd: Capture) -> None:
    writer = cv2.VideoWriter(
        str(tmp_path / "v.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 25, (640, 480)
    )
    for _ in range(3):
        writer.write(board())
    writer.release()
    arguments = [*PIPELINE, str(tmp_path / "v.avi"), str(BOARD), "--json"]
    assert cli.main([*arguments, "--overlay", str(tmp_path / "out")]) == 0
    assert [answer.get("frame") for answer in answers(capfd)] == [0, 1, 2, None]
    assert len(list((tmp_path / "out").iterdir())) == 4


def test_whoever_has_read_enough_may_go(tmp_path: Path) -> None:
    """As ``infer run … | head -1`` does."""
    for number in range(30):
        shutil.copy(BOARD, tmp_path / f"{number:02}.jpg")
    command = [sys.executable, "-m", "inference_core", *PIPELINE, str(tmp_path), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        assert json.loads(child.stdout.readline())["verdict"] == "pass"
        child.stdout.close()
        assert child.stderr.read() == b""
        assert child.wait(timeout=60) == 128 + signal.SIGPIPE
