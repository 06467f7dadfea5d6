"""Every command that docs/infer.md shows, run in order as it is written."""

import re
import shlex
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from inference_core import cli
from tests.core.build_jobs import write_pictures
from tests.core.core_models import BOARD, DEMO, MODELS
from tests.core.onnx_models import brightness_manifest, brightness_model, save

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "tests" / "samples"
COMMANDS = re.findall(r"^\$ (infer .+)$", (ROOT / "docs" / "infer.md").read_text(), re.MULTILINE)


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files that the commands name."""
    for suffix in (".onnx", ".manifest.json"):
        sample = SAMPLES / "models" / f"coco_ssd_mobilenet_v2_300{suffix}"
        shutil.copy(sample, tmp_path / f"detector{suffix}")
    shutil.copy(MODELS / "board-defects" / "model.onnx", tmp_path / "stranger.onnx")
    (tmp_path / "photos").mkdir()
    shutil.copy(SAMPLES / "images" / "messi5.jpg", tmp_path / "photos")
    shutil.copy(BOARD, tmp_path / "board.jpg")
    shutil.copy(DEMO / "pipeline.yaml", tmp_path)
    shutil.copytree(MODELS, tmp_path / "models")
    save(brightness_model(), tmp_path / "segmenter.onnx")
    (tmp_path / "segmenter.manifest.json").write_bytes(brightness_manifest().to_json())
    write_pictures(tmp_path / "calibration", seed=1)
    write_pictures(tmp_path / "golden", seed=2)
    (tmp_path / "line").mkdir()
    for number, picture in enumerate(np.random.default_rng(0).integers(0, 255, (10, 32, 48, 3))):
        cv2.imwrite(str(tmp_path / "line" / f"{number}.png"), picture.astype(np.uint8))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # for the children of a build
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_documented_commands_do_what_they_say(
    workplace: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert len(COMMANDS) == 12
    for command in COMMANDS:
        assert cli.main(shlex.split(command)[1:]) == 0, f"{command}: {capfd.readouterr().err}"
        assert capfd.readouterr().out
    assert list((workplace / "seen").glob("*.jpg"))
    assert list((workplace / "built").glob("*.certificate.json"))


def test_every_command_is_in_the_reference() -> None:
    text = (ROOT / "docs" / "infer.md").read_text()
    assert [name for name in cli.COMMANDS if f"infer {name}" not in text] == []
