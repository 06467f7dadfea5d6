"""``infer count`` as a person uses it: a real detector on a real street, and wrong use."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest

from inference_core.cli import main

SAMPLES = Path(__file__).parents[2] / "samples"
STREET = SAMPLES / "video" / "vtest.avi"
SSD = SAMPLES / "models" / "coco_ssd_mobilenet_v2_300.onnx"
ACROSS = "0,317,768,317"
"""In pixels: a little below the middle of the street."""


def cut(folder: Path, frames: int) -> Path:
    """The first frames of the street as a video of their own."""
    street, path = cv2.VideoCapture(str(STREET)), folder / "street.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (768, 576))
    for _ in range(frames):
        writer.write(street.read()[1])
    writer.release()
    street.release()
    return path


def test_the_first_three_walkers_of_the_street_are_counted(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Counted by eye: a pair around frame 28, one more around frame 53, all away from us."""
    overlay = tmp_path / "overlay"
    options = ["--labels", "person", "--line", ACROSS, "--overlay", str(overlay), "--json"]
    assert main(["count", str(cut(tmp_path, 60)), "--model", str(SSD), *options]) == 0
    told = json.loads(capfd.readouterr().out)
    assert told["counts"] == {"entered": {"person": 3}, "left": {}, "inside": {}}
    assert (told["frames"], told["seconds"], told["faults"]) == (60, 5.9, 0)
    assert told["fps"] > 0
    assert len(list(overlay.glob("*.jpg"))) == 60


def test_shares_and_pixels_and_zones_are_understood(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    video = cut(tmp_path, 12)
    for border in (
        ["--line", "0,0.55,1,0.55"],
        ["--zone", "0,0,1,0,1,1,0,1", "--tiles", "384x384", "--begin-score", "0.6"],
    ):
        assert main(["count", str(video), "--model", str(SSD), *border, "--json"]) == 0
        told = json.loads(capfd.readouterr().out)
        assert told["counts"]["left"] == {}
    assert told["counts"]["inside"]["person"] >= 2


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--line", "0,0,1"], "a point is X,Y"),
        (["--line", "0,0,1,1,0,1"], "two points"),
        (["--line", "0,0,9000,9000"], "768×576"),
        (["--line", "a,b,c,d"], "not numbers"),
        (["--line", "nan,0,1,1"], "line"),
        (["--line", "0,0,0,0"], "two points are one"),
        (["--zone", "0,0,1,1"], "zone"),
        (["--line", ACROSS, "--labels", "unicorn"], "knows no 'unicorn'"),
        (["--line", ACROSS, "--tiles", "big"], "WIDTHxHEIGHT"),
        (["--line", ACROSS, "--max-missing", "-1"], "max_missing_s"),
    ],
)
def test_wrong_use_is_one_sentence_that_helps(
    options: list[str], word: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["count", str(STREET), "--model", str(SSD), *options]) == 2
    told = capfd.readouterr()
    assert told.out == ""
    assert word in told.err.splitlines()[-1]


def test_a_model_that_finds_no_boxes_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    reader = SAMPLES / "models" / "ppocr_v4_det.onnx"
    assert main(["count", str(STREET), "--model", str(reader), "--line", ACROSS]) == 2
    assert "counting needs a detector" in capfd.readouterr().err


def test_a_video_that_is_not_there_or_none_is_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    noise = tmp_path / "noise.avi"
    noise.write_bytes(b"no video at all")
    for video, word in ((tmp_path / "gone.avi", "does not exist"), (noise, "as a video")):
        assert main(["count", str(video), "--model", str(SSD), "--line", ACROSS]) == 2
        assert word in capfd.readouterr().err


def test_a_video_that_is_cut_short_counts_what_is_there_and_says_so(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    half = tmp_path / "half.avi"
    whole = cut(tmp_path, 20).read_bytes()
    half.write_bytes(whole[: len(whole) // 2])
    assert main(["count", str(half), "--model", str(SSD), "--line", ACROSS, "--json"]) == 2
    told = json.loads(capfd.readouterr().out)
    assert "cut short" in told["incomplete"]
    assert 0 < told["frames"] < 20
