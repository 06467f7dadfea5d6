"""What each judge says of answers whose worth is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from inference_core.contract.dataset import TextBoxLabel
from inference_core.contract.manifest import ModelManifest
from inference_core.contract.words import VerdictWord
from inference_core.datasets import DatasetError, Sample
from inference_core.image import prepare
from inference_core.optimize.judges import Judge, Reading, make_judge
from tests.core.judges.made import boxes, detector, make_manifest, prepared, sample

Row = tuple[str, float, float, float, float, float]

TRUTH = (("dent", 4, 4, 20, 20), ("scratch", 30, 30, 60, 40))
FOUND: tuple[Row, ...] = (("dent", 0.9, 4, 4, 20, 20), ("scratch", 0.8, 30, 30, 60, 40))


def read(judge: Judge, manifest: ModelManifest, one: Sample, outputs: dict[str, Any]) -> Reading:
    return judge.read(one, prepared(manifest), outputs)


def see(*rows: Row, truth: Any = TRUTH, **changes: Any) -> tuple[Judge, Reading]:
    manifest = detector(**changes)
    judge = make_judge(manifest)
    return judge, read(judge, manifest, sample(boxes=truth), boxes(*rows))


def test_a_detector_that_finds_all_is_perfect_in_every_class() -> None:
    judge, reading = see(*FOUND)

    assert judge.metric == "map"
    assert judge.measure([reading]) == pytest.approx(1)
    assert judge.measure_classes([reading]) == pytest.approx({"dent": 1, "scratch": 1})
    assert (reading.answer, reading.score) == ("1 dent, 1 scratch", pytest.approx(0.9))


def test_map_counts_what_the_threshold_hides_and_the_answer_does_not() -> None:
    judge, reading = see(FOUND[0], ("scratch", 0.05, 30, 30, 60, 40))

    assert judge.measure([reading]) == pytest.approx(1)
    assert reading.answer == "1 dent"


def test_thresholds_of_classes_shape_the_answer() -> None:
    _, reading = see(*FOUND, class_thresholds={"scratch": 0.85})

    assert reading.answer == "1 dent"


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ((FOUND[0],), "lost"),
        ((*FOUND, ("dent", 0.7, 40, 2, 60, 20)), "a new one"),
        ((FOUND[0], ("dent", 0.8, 30, 30, 60, 40)), "another class"),
        ((FOUND[0], ("scratch", 0.8, 2, 50, 32, 60)), "another place, the same count"),
        ((FOUND[0], ("scratch", 0.2, 30, 30, 60, 40)), "clearly below the threshold"),
        ((FOUND[0], *[FOUND[1]] * 2), "found twice"),
    ],
)
def test_another_answer_is_another_answer(rows: tuple[Row, ...], why: str) -> None:
    _, ours = see(*FOUND)
    _, theirs = see(*rows)

    assert not ours.agrees_with(theirs), why
    assert not theirs.agrees_with(ours), why


@pytest.mark.parametrize(
    "rows",
    [
        FOUND,
        FOUND[::-1],
        (FOUND[0], ("scratch", 0.55, 32, 30, 61, 41)),
        (*FOUND, ("dent", 0.53, 40, 2, 60, 20)),
    ],
)
def test_noise_of_scores_and_places_is_the_same_answer(rows: tuple[Row, ...]) -> None:
    """The last one stands by a hair: on the next frame the reference may see it too."""
    _, ours = see(*FOUND)
    _, theirs = see(*rows)

    assert ours.agrees_with(theirs)
    assert theirs.agrees_with(ours)


def test_an_object_at_the_threshold_may_fall_below_it() -> None:
    _, ours = see(("dent", 0.52, 4, 4, 20, 20))
    _, theirs = see(("dent", 0.48, 4, 4, 20, 20))
    _, nothing = see()

    assert ours.answer != theirs.answer
    assert ours.agrees_with(theirs)
    assert nothing.agrees_with(ours)


def test_a_set_without_boxes_or_with_foreign_classes_cannot_judge_a_detector() -> None:
    with pytest.raises(DatasetError, match=r"a\.png has no boxes"):
        see(*FOUND, truth=None)
    with pytest.raises(DatasetError, match="'bolt', which is none of the model's 2 classes"):
        see(*FOUND, truth=(("bolt", 1, 1, 2, 2),))
    judge, reading = see(*FOUND, truth=())
    assert judge.measure([reading]) is None


def test_a_classifier_is_judged_by_its_first_class() -> None:
    decoder = {"kind": "classify", "output": "out0", "labels": ["good", "dent", "scratch"]}
    manifest = make_manifest("classification", {**decoder, "activation": "none"}, [1, 3])
    judge = make_judge(manifest)
    cases = (("good", [0.9, 0.1, 0]), ("dent", [0.6, 0.4, 0]), ("dent", [0.1, 0.7, 0.2]))

    readings = [
        read(judge, manifest, sample(label=label), {"out0": np.array([scores], np.float32)})
        for label, scores in cases
    ]

    assert [reading.answer for reading in readings] == ["good", "good", "dent"]
    assert readings[0].score == pytest.approx(0.9)
    assert judge.measure(readings) == pytest.approx(2 / 3)
    assert judge.measure_classes(readings) == {"dent": 0.5, "good": 1.0}
    with pytest.raises(DatasetError, match="no label to judge a classifier"):
        read(judge, manifest, sample(), {"out0": np.zeros((1, 3), np.float32)})
    with pytest.raises(DatasetError, match="none of the model's 3 classes"):
        read(judge, manifest, sample(label="rust"), {"out0": np.zeros((1, 3), np.float32)})


def judge_anomalies(*cases: tuple[float, dict[str, Any]]) -> tuple[Judge, list[Reading]]:
    manifest = make_manifest("anomaly", {"kind": "anomaly", "map_output": "out0"}, [1, 1, 16, 16])
    judge = make_judge(manifest)
    heat = np.zeros((1, 1, 16, 16), np.float32)
    heat[0, 0, 3, 3] = 1
    outputs = [{"out0": heat * score} for score, _ in cases]
    return judge, [
        read(judge, manifest, sample(**fields), one)
        for (_, fields), one in zip(cases, outputs, strict=True)
    ]


def test_an_anomaly_model_is_judged_by_how_it_orders_good_and_bad() -> None:
    good, bad = {"verdict": VerdictWord.PASS}, {"verdict": VerdictWord.FAIL}

    judge, readings = judge_anomalies((0.1, good), (0.6, good), (0.4, bad), (0.9, bad))

    assert judge.measure(readings) == pytest.approx(0.75)
    assert [reading.answer for reading in readings] == ["good", "bad", "good", "bad"]
    assert judge.measure(readings[:2]) is None


def test_a_mask_says_which_part_is_bad_where_no_verdict_does(tmp_path: Path) -> None:
    empty, marked = np.zeros((4, 4), np.uint8), np.eye(4, dtype=np.uint8)
    for name, mask in (("empty", empty), ("marked", marked)):
        cv2.imwrite(str(tmp_path / f"{name}.png"), mask)

    judge, readings = judge_anomalies(
        (0.2, {"mask": tmp_path / "empty.png"}), (0.3, {"mask": tmp_path / "marked.png"})
    )

    assert judge.measure(readings) == 1
    with pytest.raises(DatasetError, match="neither verdict nor mask"):
        judge_anomalies((0.2, {}))


def see_text(*rows: tuple[int, int, float], truth: Any = ((8, 8),)) -> tuple[Judge, Reading]:
    """Bars of 30×8 pixels at x, y with a probability."""
    decoder = {"kind": "text_boxes", "output": "out0", "unclip_ratio": 0}
    manifest = make_manifest("text_detection", decoder, [1, 1, 64, 64])
    probability = np.zeros((1, 1, 64, 64), np.float32)
    for x, y, score in rows:
        probability[0, 0, y : y + 8, x : x + 30] = score
    labels = None if truth is None else tuple(TextBoxLabel(polygon=bar(x, y)) for x, y in truth)
    judge = make_judge(manifest)
    return judge, read(judge, manifest, sample(text_boxes=labels), {"out0": probability})


def bar(x: int, y: int) -> tuple[tuple[float, float], ...]:
    return ((x, y), (x + 30, y), (x + 30, y + 8), (x, y + 8))


def test_a_text_detector_is_judged_by_its_places() -> None:
    judge, right = see_text((8, 8, 0.9))
    _, ghost = see_text((8, 8, 0.9), (20, 40, 0.8))

    assert judge.measure([right]) == 1
    assert judge.measure([ghost]) == pytest.approx(2 / 3)
    assert (right.answer, ghost.answer) == ("1 places of text", "2 places of text")
    assert not right.agrees_with(ghost)
    with pytest.raises(DatasetError, match="no text_boxes"):
        see_text(truth=None)


def test_a_place_at_the_threshold_counts_for_the_answer_and_not_against_it() -> None:
    _, just_over = see_text((8, 8, 0.62))
    judge, just_under = see_text((8, 8, 0.58))

    assert just_under.answer == "0 places of text"
    assert judge.measure([just_under]) == 0
    assert just_over.agrees_with(just_under)


def test_a_segmentation_that_was_cropped_is_judged_where_it_looked(tmp_path: Path) -> None:
    """The middle 48×48 of 64×48 pixels; what lies outside cannot have been found."""
    decoder = {
        "kind": "segment",
        "output": "out0",
        "labels": ["background", "dent"],
        "activation": "none",
    }
    manifest = make_manifest("segmentation", decoder, [1, 2, 64, 64])
    manifest = manifest.model_copy(
        update={"preprocess": manifest.preprocess.model_copy(update={"resize": "crop"})}
    )
    mask = np.zeros((48, 64), np.uint8)
    mask[:, 8:32] = 1
    cv2.imwrite(str(tmp_path / "mask.png"), mask)
    probability = np.zeros((1, 2, 64, 64), np.float32)
    probability[0, 1, :, :32], probability[0, 0, :, 32:] = 1, 1
    judge = make_judge(manifest)
    reading = judge.read(
        sample(mask=tmp_path / "mask.png"),
        prepare(np.zeros((48, 64, 3), np.uint8), manifest),
        {"out0": probability},
    )

    assert judge.measure([reading]) == 1
    assert reading.answer == "dent"
