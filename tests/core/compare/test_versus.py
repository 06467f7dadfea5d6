"""Two versions on the same pictures, by the child that the server starts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from inference_core.contract.compare import (
    COMPARE_EVENT,
    ComparedPicture,
    CompareJob,
    CompareOutcome,
    CompareProgress,
    CompareSide,
)
from inference_core.datasets import read_dataset
from inference_core.optimize.judges import Reading
from inference_core.optimize.right import is_right
from inference_core.optimize.versus import compare_versions
from tests.core.build_jobs import write_pictures
from tests.core.judges.street import COCO_SSD, NANODET, sample_manifest, write_street
from tests.core.onnx_models import brightness_manifest, brightness_model, save


def blind_to_dark() -> bytes:
    """The brightness model, which no longer finds what is dark."""
    from onnx import numpy_helper

    model = brightness_model()
    for tensor in model.graph.initializer:
        if tensor.name == "bias":
            bias = numpy_helper.to_array(tensor).copy()
            bias[1] = -100
            tensor.CopyFrom(numpy_helper.from_array(bias, "bias"))
    return bytes(model.SerializeToString())


def make_job(folder: Path) -> CompareJob:
    good = save(brightness_model(), folder / "a.onnx")
    poor = folder / "b.onnx"
    poor.write_bytes(blind_to_dark())
    dataset = write_pictures(folder / "set", seed=3)
    sides = [
        CompareSide(model_path=str(p), source_sha256="0" * 64, manifest=brightness_manifest())
        for p in (good, poor)
    ]
    return CompareJob(
        a=sides[0],
        b=sides[1],
        dataset_dir=str(dataset),
        dataset_sha256=read_dataset(dataset).sha256,
        pictures_path=str(folder / "pictures.jsonl"),
    )


def run(job: CompareJob, folder: Path) -> list[CompareProgress | CompareOutcome]:
    path = folder / "job.json"
    path.write_bytes(job.to_json())
    done = subprocess.run(
        [sys.executable, "-m", "inference_core", "compare", "--job", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    return [COMPARE_EVENT.validate_json(line) for line in done.stdout.splitlines()]


def test_it_says_who_is_wrong_where(tmp_path: Path) -> None:
    job = make_job(tmp_path)
    events = run(job, tmp_path)
    outcome = events[-1]
    assert isinstance(outcome, CompareOutcome)
    figures = outcome.figures
    assert figures is not None
    assert events[-2].share == 1.0  # type: ignore[union-attr]  # a progress
    assert (figures.only_b_wrong, figures.only_a_wrong, figures.both_wrong) == (6, 0, 0)
    assert figures.disagree == 6
    assert figures.a > 0.9 > figures.b
    assert figures.per_class["dark"][1] == 0.0
    assert figures.per_class["bright"][0] == figures.per_class["bright"][1]
    assert figures.right_per_class["dark"].model_dump() == {"pictures": 6, "a": 6, "b": 0}
    assert figures.latency_a.runs == figures.latency_b.runs == 3
    lines = Path(job.pictures_path).read_text().splitlines()
    pictures = [ComparedPicture.model_validate_json(line) for line in lines]
    first = pictures[0]
    assert (first.label, first.a.answer, first.b.answer) == (
        "dark, bright",
        "dark,bright",
        "bright",
    )
    assert (first.a.is_right, first.b.is_right, first.agrees) == (True, False, False)
    assert first.truth is not None
    assert {region.label for region in first.truth.regions} == {"dark", "bright"}
    assert (first.width, first.height) == (48, 32)


def test_swapping_the_versions_swaps_the_figures(tmp_path: Path) -> None:
    job = make_job(tmp_path)
    swapped = job.model_copy(update={"a": job.b, "b": job.a})
    outcome = run(swapped, tmp_path)[-1]
    assert isinstance(outcome, CompareOutcome)
    assert outcome.figures is not None
    assert (outcome.figures.only_a_wrong, outcome.figures.only_b_wrong) == (6, 0)


def test_what_cannot_be_judged_is_said_in_a_sentence(tmp_path: Path) -> None:
    job = make_job(tmp_path)
    labels = Path(job.dataset_dir, "labels.jsonl")
    lines = [{"image": json.loads(line)["image"]} for line in labels.read_text().splitlines()]
    labels.write_text("".join(json.dumps(line) + "\n" for line in lines))
    job = job.model_copy(update={"dataset_sha256": read_dataset(Path(job.dataset_dir)).sha256})
    outcome = run(job, tmp_path)[-1]
    assert isinstance(outcome, CompareOutcome)
    assert outcome.figures is None
    assert "has no mask" in outcome.reason


def test_another_dataset_than_was_asked_for_is_refused(tmp_path: Path) -> None:
    job = make_job(tmp_path).model_copy(update={"dataset_sha256": "0" * 64})
    outcome = run(job, tmp_path)[-1]
    assert isinstance(outcome, CompareOutcome)
    assert outcome.figures is None


@pytest.mark.parametrize(
    ("metric", "answer", "evidence", "expected"),
    [
        ("accuracy", "nut", ("nut", "nut"), True),
        ("accuracy", "screw", ("nut", "screw"), False),
        ("character_accuracy", "A1", ("A1", "A1"), True),
        ("character_accuracy", "A7", ("A1", "A7"), False),
        ("auroc", "bad", (True, 0.9), True),
        ("auroc", "good", (True, 0.1), False),
        ("auroc", "bad", (False, 0.7), False),
    ],
)
def test_right_is_what_nobody_would_correct(
    metric: str, answer: str, evidence: object, expected: bool
) -> None:
    assert is_right(metric, Reading(answer, 0.5, evidence)) is expected  # type: ignore[arg-type]


def test_two_real_detectors_of_different_kinds_see_the_same_street(tmp_path: Path) -> None:
    street = write_street(tmp_path)
    sides = [
        CompareSide(model_path=str(p), source_sha256="0" * 64, manifest=sample_manifest(p))
        for p in (NANODET, COCO_SSD)
    ]
    job = CompareJob(
        a=sides[0],
        b=sides[1],
        dataset_dir=str(tmp_path / "golden"),
        dataset_sha256=street.golden.sha256,
        pictures_path=str(tmp_path / "pictures.jsonl"),
    )
    pictures: list[ComparedPicture] = []
    figures = compare_versions(job, lambda _share, _detail: None, pictures.append)
    assert figures.metric == "map"
    assert figures.a > 0.2
    assert figures.b > 0.2
    assert {"person", "car", "apple"} <= set(figures.per_class)
    assert figures.right_per_class["person"].pictures == 4
    apple = next(one for one in pictures if "apple" in one.image)
    assert apple.label == "1 apple"
    assert (apple.a.answer, apple.a.is_right) == ("1 vase", False)
    assert (apple.b.answer, apple.b.is_right) == ("1 apple", True)
    assert apple.b.found is not None
    assert apple.b.found.boxes[0].label == "apple"
    # The better mAP is the one whose threshold lets more through that is not there.
    assert figures.a > figures.b
    assert figures.only_a_wrong > figures.only_b_wrong
    assert (apple.width, apple.height) == (512, 512)
