"""``infer dataset`` as a person uses it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from inference_core.cli import main
from inference_core.datasets import check_disjoint, read_dataset
from inference_core.datasets.formats import write_set
from inference_core.datasets.labelled import LabelledObject, LabelledSet
from inference_core.datasets.problem import Notes
from tests.core.datasets.labelled_sets import make_image, make_picture
from tests.core.datasets.test_foreign_layouts import LABELIMG, write


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    make_picture(tmp_path / "voc" / "a.png")
    write(tmp_path / "voc" / "a.xml", LABELIMG.format(name="a.png"))
    return tmp_path / "voc"


@pytest.mark.parametrize("target", ["coco", "cvat", "linewarden", "yolo"])
def test_it_converts_and_tells_what_was_lost(voc: Path, tmp_path: Path, target: str) -> None:
    child = subprocess.run(
        [
            *(sys.executable, "-m", "inference_core", "dataset", "convert"),
            *("--from", "voc", "--to", target, voc, tmp_path / "out"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )

    assert child.returncode == 0, child.stderr
    assert child.stdout == f"1 images, 2 objects, 2 classes written to {tmp_path / 'out'}\n"
    lost = "infer dataset: 1 marks of truncated objects were left out (first: a.png)\n"
    assert child.stderr == ("" if target == "cvat" else lost)


def test_what_is_wrong_is_one_sentence_and_exit_code_2(
    voc: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (voc / "a.png").write_text("no picture")

    code = main(["dataset", "convert", "--from", "voc", "--to", "coco", str(voc), str(tmp_path)])

    assert code == 2
    assert capsys.readouterr().err == (
        "infer dataset: a.xml:2: the picture a.png is broken: "
        "this is neither JPEG nor PNG nor BMP\n"
    )


def test_it_never_writes_into_a_folder_with_something_in_it(
    voc: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["dataset", "convert", "--from", "voc", "--to", "coco", str(voc), str(voc)])

    assert code == 2
    assert "is not empty; give a new folder" in capsys.readouterr().err
    assert sorted(path.name for path in voc.iterdir()) == ["a.png", "a.xml"]


def test_a_split_gives_a_calibration_and_a_golden_set_that_a_build_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    box = LabelledObject("dent", (0, 0, 5, 5))
    images = tuple(make_image(tmp_path / "p", f"{n}.png", (box,)) for n in range(40))
    write_set("linewarden", LabelledSet(("dent",), images), tmp_path / "all", Notes())
    shares = "calibration=0.5,golden=0.5"

    code = main(
        [
            *("dataset", "split", "--format", "linewarden", "--shares", shares),
            *(str(tmp_path / "all"), str(tmp_path / "sets")),
        ]
    )

    calibration, golden = (read_dataset(tmp_path / "sets" / n) for n in ("calibration", "golden"))
    assert code == 0
    check_disjoint(calibration, golden)
    counts = len(calibration.samples), len(golden.samples)
    assert sum(counts) == 40
    assert (
        capsys.readouterr().out == f"calibration: {counts[0]} images\ngolden: {counts[1]} images\n"
    )


@pytest.mark.parametrize("shares", ["train", "train=x", "train=0.5,train=0.5", "=1.0"])
def test_shares_that_cannot_be_read_are_wrong_use(
    voc: Path, tmp_path: Path, shares: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["dataset", "split", "--format", "voc", "--shares", shares, str(voc), str(tmp_path)])

    assert ended.value.code == 2
    assert "--shares" in capsys.readouterr().err


def test_it_describes_a_set_for_programs(voc: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dataset", "describe", "--format", "voc", str(voc), "--json"]) == 0

    figures = json.loads(capsys.readouterr().out)
    assert figures["images"] == {"": 1}
    assert figures["objects"] == {"dent": 1, "scratch": 1}
