"""Stages that wait for each other, cut out, look in tiles and follow; and what makes no sense."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from inference_core.contract.decoders import Decoder
from inference_core.contract.manifest import ModelManifest
from inference_core.contract.pipeline import PipelineSpec, Stage
from inference_core.contract.results import ClassResult
from inference_core.contract.words import FailureCause, RuntimeName, VerdictWord
from inference_core.errors import BadInput
from inference_core.files import read_document
from inference_core.pipeline.checks import check_pipeline
from inference_core.pipeline.conveyor import Judged
from inference_core.pipeline.findings import find_nothing, present
from inference_core.pipeline.frames import Frame
from inference_core.pipeline.graph import Pipeline
from inference_core.pipeline.models import load_model
from inference_core.pipeline.overlapped import Overlapped
from inference_core.pipeline.rules import must_escalate
from inference_core.runtimes.base import SessionOptions
from tests.core.core_models import MODELS, board, frame_of, one_scratch, sample_manifest
from tests.core.task_models import (
    MANIFESTS,
    boxes_of,
    classes_of,
    pipeline_of,
    spec_of,
    text_of,
)

GREY = np.full((120, 160, 3), 128, np.uint8)
SAMPLES = Path(__file__).parents[1] / "samples"
SCREEN = {"id": "screen", "model": "classify", "escalate_when": "confidence < 0.9"}
DEFECTS = {"id": "defects", "model": "segment", "after": "screen"}
SCRATCHED = {"outputs": {"logits": one_scratch().tolist()}}
TWO_SCREWS = boxes_of((10, 10, 30, 30, 0.9, 0), (40, 20, 60, 50, 0.8, 0), (5, 5, 9, 9, 0.7, 1))


def at(sequence: int, camera: str = "cam") -> Frame:
    """Ten frames a second."""
    return replace(frame_of(GREY), sequence=sequence, captured_s=sequence / 10, camera=camera)


# Cascade


def test_a_light_model_that_is_sure_spares_the_heavy_one(tmp_path: Path) -> None:
    pipeline = pipeline_of(
        tmp_path,
        [SCREEN, DEFECTS],
        "defects.count('scratch') > 0",
        classify={"outputs": classes_of(0.95, 0.03, 0.02)},
        segment={**SCRATCHED, "fail_from_run": 0},
    )
    result = pipeline.judge(frame_of(GREY))
    assert result.verdict is VerdictWord.PASS
    assert [stage.skipped for stage in result.stages] == [False, True]
    assert result.stages[1].latency_ms.total == 0


def test_a_light_model_in_doubt_calls_the_heavy_one(tmp_path: Path) -> None:
    pipeline = pipeline_of(
        tmp_path,
        [SCREEN, DEFECTS],
        "defects.count('scratch') > 0",
        classify={"outputs": classes_of(0.6, 0.3, 0.1)},
        segment=SCRATCHED,
    )
    result = pipeline.judge(frame_of(GREY))
    assert result.reasons == ("defects.count('scratch') > 0",)
    assert not result.stages[1].skipped


@pytest.mark.parametrize(
    ("expression", "escalates"),
    [
        ("confidence < 0.9", True),
        ("score > 0.65", False),
        ("label != 'good'", False),
        ("screen.confidence < 0.9 and probability('cracked') > 0.1", True),
        ("1 / (score - score) > 1", True),
        ("(score * 1e308 * 1e308) - (score * 1e308 * 1e308) > 0", True),
        ("probability('dirty') > 0.5", True),
    ],
)
def test_an_escalation_asks_the_earlier_stage_and_in_doubt_it_is_true(
    expression: str, escalates: bool
) -> None:
    stage = Stage.model_validate({**SCREEN, "escalate_when": expression})
    classes = tuple(
        ClassResult(label=label, class_id=index, score=score)
        for index, (label, score) in enumerate([("good", 0.6), ("cracked", 0.3)])
    )
    result = find_nothing(stage).model_copy(update={"classes": classes})
    decoder = MANIFESTS["classify"].decoder
    assert must_escalate(stage, present(stage, result, decoder, None)) is escalates


def test_a_rule_may_ask_whether_a_stage_ran(tmp_path: Path) -> None:
    def judge(sure: float) -> tuple[str, ...]:
        pipeline = pipeline_of(
            tmp_path,
            [SCREEN, {"id": "serial", "model": "read", "after": "screen"}],
            "serial.ran and not serial.matches('a')",
            "not serial.ran and screen.label != 'good'",
            classify={"outputs": classes_of(sure, 1 - sure, 0)},
        )
        return pipeline.judge(frame_of(GREY)).reasons

    assert judge(0.95) == ()
    assert judge(0.6) == ("serial.ran and not serial.matches('a')",)
    assert judge(0.04) == ("not serial.ran and screen.label != 'good'",)


def test_a_skipped_stage_passes_its_word_on(tmp_path: Path) -> None:
    second = {**DEFECTS, "escalate_when": "count() == 0"}
    third = {"id": "third", "model": "read", "after": "defects"}
    pipeline = pipeline_of(
        tmp_path,
        [SCREEN, second, third],
        classify={"outputs": classes_of(0.95, 0, 0)},
    )
    result = pipeline.judge(frame_of(GREY))
    assert [stage.skipped for stage in result.stages] == [False, True, True]


def test_order_alone_never_skips(tmp_path: Path) -> None:
    pipeline = pipeline_of(tmp_path, [{"id": "screen", "model": "classify"}, DEFECTS])
    assert not pipeline.judge(frame_of(GREY)).stages[1].skipped


def test_after_a_fault_of_the_light_model_the_heavy_one_runs_and_the_part_fails(
    tmp_path: Path,
) -> None:
    pipeline = pipeline_of(tmp_path, [SCREEN, DEFECTS], classify={"nan_from_run": 0})
    result = pipeline.judge(frame_of(GREY))
    assert result.verdict is VerdictWord.FAIL
    assert result.fault is FailureCause.NOT_FINITE
    assert not result.stages[1].skipped


# Crops


def test_each_box_is_looked_at_and_what_is_found_lies_in_the_frame(tmp_path: Path) -> None:
    pipeline = pipeline_of(
        tmp_path,
        [
            {"id": "screws", "model": "detect"},
            {"id": "defects", "model": "segment", "crops_of": "screws"},
        ],
        detect={"outputs": TWO_SCREWS},
        segment=SCRATCHED,
    )
    screws, defects = pipeline.judge(frame_of(GREY)).stages
    # The frame is twice the tensor, the scratch covers 2/8…5/8 by 1/6…2/6 of each crop.
    assert [box.xyxy for box in screws.boxes] == [
        pytest.approx((20, 20, 60, 60)),
        pytest.approx((80, 40, 120, 100)),
        pytest.approx((10, 10, 18, 18)),
    ]
    assert [region.xyxy for region in defects.regions] == [
        pytest.approx((30, 26.67, 45, 33.33), abs=0.01),
        pytest.approx((90, 50, 105, 60), abs=0.01),
        pytest.approx((12, 11.33, 15, 12.67), abs=0.01),
    ]


def test_a_classifier_names_each_crop_once(tmp_path: Path) -> None:
    pipeline = pipeline_of(
        tmp_path,
        [
            {"id": "screws", "model": "detect"},
            {"id": "heads", "model": "classify", "crops_of": "screws"},
        ],
        "heads.count('cracked') != 3",
        "heads.count() != screws.count()",
        "heads.confidence < 0.5",
        detect={"outputs": TWO_SCREWS},
        classify={"outputs": classes_of(0.2, 0.7, 0.1)},
    )
    result = pipeline.judge(frame_of(GREY))
    assert result.reasons == ()
    assert [one.label for one in result.stages[1].classes] == ["cracked"] * 3


def test_text_of_a_crop_stands_on_the_polygon_that_was_cut_out(tmp_path: Path) -> None:
    text_map = np.zeros((1, 1, 60, 80), np.float32)
    cv2.fillPoly(text_map[0, 0], [np.array([[20, 20], [60, 30], [58, 38], [18, 28]])], 1.0)
    pipeline = pipeline_of(
        tmp_path,
        [
            {"id": "places", "model": "find_text"},
            {"id": "words", "model": "read", "crops_of": "places"},
        ],
        "not words.has_line('aa')",
        find_text={"outputs": {"map": text_map.tolist()}},
        read={"outputs": text_of(1, 0, 1)},
    )
    result = pipeline.judge(frame_of(GREY))
    places, words = result.stages
    assert result.reasons == ()
    assert len(places.text_boxes) == 1
    assert [line.polygon for line in words.lines] == [box.polygon for box in places.text_boxes]


def test_nothing_to_cut_out_is_no_fault(tmp_path: Path) -> None:
    stages = [
        {"id": "screws", "model": "detect"},
        {"id": "heads", "model": "classify", "crops_of": "screws"},
    ]
    result = pipeline_of(tmp_path, stages, "heads.count() != 0").judge(frame_of(GREY))
    assert result.reasons == ()
    assert not result.stages[1].skipped


def test_what_is_cut_from_a_failed_stage_is_skipped_and_the_part_fails(tmp_path: Path) -> None:
    stages = [
        {"id": "screws", "model": "detect"},
        {"id": "heads", "model": "classify", "crops_of": "screws"},
    ]
    result = pipeline_of(tmp_path, stages, detect={"nan_from_run": 0}).judge(frame_of(GREY))
    assert result.verdict is VerdictWord.FAIL
    assert result.stages[1].skipped


def test_a_model_for_crops_is_warmed_up_though_a_blank_picture_has_none(tmp_path: Path) -> None:
    stages = [
        {"id": "screws", "model": "detect"},
        {"id": "heads", "model": "classify", "crops_of": "screws"},
    ]
    pipeline = pipeline_of(tmp_path, stages, classify={"nan_from_run": 1})
    pipeline.warm_up()
    found = pipeline_of(
        tmp_path, stages, detect={"outputs": TWO_SCREWS}, classify={"nan_from_run": 1}
    )
    found.warm_up()
    assert found.judge(frame_of(GREY)).fault is FailureCause.NOT_FINITE


# Tiles


def test_tiles_of_a_large_frame_are_put_together(tmp_path: Path) -> None:
    pipeline = pipeline_of(
        tmp_path,
        [{"id": "defects", "model": "segment", "tiles": {"size_px": [80, 60], "overlap": 0}}],
        "defects.count() != 4",
        segment=SCRATCHED,
    )
    result = pipeline.judge(frame_of(GREY))
    assert result.reasons == ()
    corners = sorted(region.xyxy[:2] for region in result.stages[0].regions)
    assert corners == [(20, 10), (20, 70), (100, 10), (100, 70)]
    parts = result.stages[0].latency_ms
    assert parts.total == pytest.approx(
        parts.preprocess + parts.infer + parts.postprocess, abs=0.01
    )


def test_a_frame_of_too_many_tiles_fails_with_its_reason(tmp_path: Path) -> None:
    tiles = {"size_px": [16, 16], "overlap": 0, "max_tiles": 10}
    pipeline = pipeline_of(tmp_path, [{"id": "defects", "model": "segment", "tiles": tiles}])
    result = pipeline.judge(frame_of(GREY))
    assert result.verdict is VerdictWord.FAIL
    assert "tiles" in result.reasons[0]


# Tracks

TRACKED = {"id": "belt", "model": "detect", "track": {"line": [[0.5, 1.0], [0.5, 0.0]]}}


def test_an_object_keeps_its_number(tmp_path: Path) -> None:
    pipeline = pipeline_of(
        tmp_path, [TRACKED], detect={"outputs": boxes_of((10, 10, 30, 30, 0.9, 0))}
    )
    results = [pipeline.judge(at(sequence)) for sequence in range(4)]
    numbers = [box.track_id for result in results for box in result.stages[0].boxes]
    assert numbers[-1] is not None
    assert numbers[1:] == [numbers[-1]] * 3
    assert results[-1].stages[0].counts is not None


def test_each_camera_counts_for_itself(tmp_path: Path) -> None:
    pipeline = pipeline_of(
        tmp_path, [TRACKED], detect={"outputs": boxes_of((10, 10, 30, 30, 0.9, 0))}
    )
    for sequence in range(3):
        pipeline.judge(at(sequence, "left"))
    first = pipeline.judge(at(0, "right"))
    assert [box.track_id for box in first.stages[0].boxes] == [None]


def test_frames_that_overlap_are_followed_in_order(tmp_path: Path) -> None:
    behaviour = {"outputs": boxes_of((10, 10, 30, 30, 0.9, 0)), "run_s": 0.001}
    pipeline = pipeline_of(tmp_path, [TRACKED], detect=behaviour)
    frames = (at(sequence) for sequence in range(30))
    with Overlapped(pipeline, frames, slots=4) as run:
        results = [item.result for item in run if isinstance(item, Judged)]
    numbers = {box.track_id for result in results[1:] for box in result.stages[0].boxes}
    assert len(numbers) == 1, "out of order, time would run backwards and objects be new"


def test_a_fault_of_one_frame_does_not_hold_up_those_that_are_followed(tmp_path: Path) -> None:
    pipeline = pipeline_of(tmp_path, [TRACKED], detect={"nan_from_run": 2})
    with Overlapped(pipeline, (at(n) for n in range(6)), slots=4) as run:
        faults = [item.result.fault for item in run if isinstance(item, Judged)]
    assert sorted(faults, key=str) == [None, None] + [FailureCause.NOT_FINITE] * 4


# What makes no sense

DETECT = {"id": "a", "model": "detect"}
NONSENSE: list[tuple[list[dict[str, Any]], str]] = [
    ([{"id": "a", "model": "classify", "tiles": {"size_px": [64, 64]}}], "tiles make no sense"),
    ([{"id": "a", "model": "read", "tiles": {"size_px": [64, 64]}}], "tiles make no sense"),
    (
        [{"id": "a", "model": "segment"}, {"id": "b", "model": "read", "crops_of": "a"}],
        "needs boxes or text boxes",
    ),
    (
        [{"id": "a", "model": "find_text"}, {"id": "b", "model": "segment", "crops_of": "a"}],
        "for a reader or a classifier",
    ),
    (
        [{**TRACKED, "model": "segment"}],
        "track follows boxes",
    ),
    (
        [{"id": "a", "model": "detect", "track": {**TRACKED["track"], "labels": ["bolt"]}}],  # type: ignore[dict-item] # the table mixes kinds
        "counts 'bolt'",
    ),
    ([{**SCREEN}], "no stage is after it"),
    ([SCREEN, {**TRACKED, "after": "screen"}], "must see every frame"),
    ([{**SCREEN, "escalate_when": "confidence <"}, DEFECTS], "cannot be evaluated"),
    ([{**SCREEN, "escalate_when": "largest_px > 1"}, DEFECTS], "cannot be evaluated"),
    ([{**SCREEN, "escalate_when": "probability('bent') > 1"}, DEFECTS], "no class 'bent'"),
    ([{**SCREEN, "escalate_when": "confidence"}, DEFECTS], "not true or false"),
    ([{**SCREEN, "escalate_when": "__import__('os')"}, DEFECTS], "cannot be evaluated"),
]


@pytest.mark.parametrize(("stages", "complaint"), NONSENSE, ids=[why for _, why in NONSENSE])
def test_what_makes_no_sense_is_refused_before_a_frame_is_taken(
    stages: list[dict[str, Any]], complaint: str, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match=complaint):
        pipeline_of(tmp_path, stages)


def decoders_of(spec: PipelineSpec) -> dict[str, Decoder]:
    return {stage.id: MANIFESTS[stage.model].decoder for stage in spec.stages}


def test_a_stage_that_does_not_count_cannot_be_asked_what_it_counted() -> None:
    asked = spec_of([DETECT], "a.entered('screw') > 3")
    (problem,) = check_pipeline(asked, decoders_of(asked))
    assert "give it `track`" in problem
    tracked = spec_of([{**TRACKED, "id": "a"}], "a.entered('screw') > 3", "a.inside() > 9")
    assert check_pipeline(tracked, decoders_of(tracked)) == []
    assert check_pipeline(tracked) == []


# Real models


def load_real(path: Path, manifest: ModelManifest) -> Any:
    return load_model(path, manifest, RuntimeName.OPENVINO, SessionOptions(threads=2))


def test_words_on_a_board_are_found_and_read_where_they_stand() -> None:
    models = {
        "find": load_real(
            SAMPLES / "models" / "ppocr_v4_det.onnx",
            read_document(SAMPLES / "models" / "ppocr_v4_det.manifest.json", ModelManifest),
        ),
        "read": load_real(MODELS / "chip-marking" / "model.onnx", sample_manifest("chip-marking")),
    }
    spec = PipelineSpec.model_validate(
        {
            "pipeline": "marking",
            "stages": [
                {"id": "places", "model": "find"},
                {"id": "words", "model": "read", "crops_of": "places"},
            ],
            "rules": [{"fail": "not words.has_line('CREATIVE')", "because": "no marking"}],
        }
    )
    pipeline = Pipeline(spec, models)
    result = pipeline.judge(frame_of(board()))
    assert result.reasons == ()
    (line,) = [line for line in result.stages[1].lines if line.text == "CREATIVE"]
    x, y = np.mean(line.polygon, axis=0)
    assert 380 < x < 480
    assert 345 < y < 368
    pipeline.close()
