"""The pipeline judges real boards rightly, and a fault of a model is never a PASS."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inference_core.contract.pipeline import PipelineSpec
from inference_core.contract.results import FrameResult
from inference_core.contract.words import FailureCause, RuntimeName, VerdictWord
from inference_core.errors import BadInput, LoadFailed
from inference_core.picture import Picture
from inference_core.pipeline.graph import Pipeline
from inference_core.pipeline.models import load_model
from inference_core.pipeline.sinks import draw_result
from inference_core.runtimes.base import SessionOptions
from server.demo.board_sets import GOLDEN
from server.demo.boards import FLAW_CYCLE, render_board
from tests.core.core_models import (
    MODELS,
    board,
    frame_of,
    one_scratch,
    reader,
    sample_manifest,
    sample_pipeline,
    segmenter,
    write_fake,
)

ONE_STAGE = PipelineSpec.model_validate(
    {
        "pipeline": "p",
        "stages": [{"id": "defects", "model": "d"}],
        "rules": [{"fail": "defects.count('scratch') > 0", "because": "scratched"}],
    }
)
GREY = np.full((60, 80, 3), 128, np.uint8)


@pytest.fixture(scope="module", params=["onnxruntime", "openvino"])
def inspection(request: pytest.FixtureRequest) -> Pipeline:
    """The sample pipeline with its real models."""
    spec = sample_pipeline()
    options = SessionOptions(threads=2)
    models = {
        name: load_model(
            MODELS / name / "model.onnx", sample_manifest(name), RuntimeName(request.param), options
        )
        for name in spec.models
    }
    pipeline = Pipeline(spec, models)
    pipeline.warm_up()
    return pipeline


def fake_pipeline(folder: Path, spec: PipelineSpec = ONE_STAGE, **behaviour: Any) -> Pipeline:
    model = load_model(write_fake(folder, **behaviour), segmenter(), RuntimeName.FAKE)
    return Pipeline(spec, {"d": model})


def test_the_photographed_board_passes(inspection: Pipeline) -> None:
    result = inspection.judge(frame_of(board()))
    assert (result.verdict, result.reasons) == (VerdictWord.PASS, ())
    assert [line.text for line in result.stages[1].lines] == ["TDA1517P"]
    assert (result.width, result.height) == (640, 480)


def test_boards_with_every_kind_of_flaw_are_judged_as_an_inspector_would(
    inspection: Pipeline,
) -> None:
    boards = [render_board(GOLDEN.seeds[index]) for index in range(len(FLAW_CYCLE))]
    verdicts = [inspection.judge(frame_of(board.image)).verdict.value for board in boards]
    assert verdicts == [board.verdict for board in boards]
    assert set(verdicts) == {"pass", "fail"}


def test_a_rubbed_out_marking_fails_for_that_reason(inspection: Pipeline) -> None:
    picture = board()
    picture[60:82, 84:152] = picture[100, 100]
    result = inspection.judge(frame_of(picture))
    assert result.verdict is VerdictWord.FAIL
    assert any("marking" in reason for reason in result.reasons)


def test_every_stage_tells_its_time(inspection: Pipeline) -> None:
    result = inspection.judge(frame_of(board()))
    for stage in result.stages:
        latency = stage.latency_ms
        parts = latency.preprocess + latency.infer + latency.postprocess
        assert latency.total == pytest.approx(parts, abs=0.01)
        assert latency.infer > 0
    assert result.latency_ms >= sum(stage.latency_ms.total for stage in result.stages)


def test_a_result_survives_the_wire(inspection: Pipeline) -> None:
    result = inspection.judge(frame_of(board()))
    assert FrameResult.model_validate_json(result.to_json()) == result


def test_a_defect_is_found_where_it_lies(tmp_path: Path) -> None:
    pipeline = fake_pipeline(tmp_path, outputs={"logits": one_scratch().tolist()})
    result = pipeline.judge(frame_of(GREY))
    assert result.verdict is VerdictWord.FAIL
    assert result.reasons == ("scratched",)
    (region,) = result.stages[0].regions
    assert region.xyxy == pytest.approx((20, 10, 50, 20))
    assert region.area_mm2 == pytest.approx(300 * 0.04)


def test_nan_fails_the_frame_with_its_cause(tmp_path: Path) -> None:
    result = fake_pipeline(tmp_path, nan_from_run=0).judge(frame_of(GREY))
    assert result.verdict is VerdictWord.FAIL
    assert result.fault is FailureCause.NOT_FINITE
    assert result.reasons == ("stage 'defects' failed: output 'logits' holds NaN or infinity",)


def test_a_fault_fails_the_frame_even_if_no_rule_would(tmp_path: Path) -> None:
    rules = ({"fail": "False", "because": "never"},)
    lenient = PipelineSpec.model_validate({**ONE_STAGE.model_dump(), "rules": rules})
    result = fake_pipeline(tmp_path, lenient, fail_from_run=0).judge(frame_of(GREY))
    assert result.verdict is VerdictWord.FAIL
    assert result.fault is FailureCause.OTHER


def test_the_next_frame_after_a_fault_is_judged(tmp_path: Path) -> None:
    model = load_model(write_fake(tmp_path, nan_from_run=1), segmenter(), RuntimeName.FAKE)
    pipeline = Pipeline(ONE_STAGE, {"d": model})
    verdicts = [pipeline.judge(frame_of(GREY)).verdict for _ in range(2)]
    assert verdicts == [VerdictWord.PASS, VerdictWord.FAIL]


def test_nan_at_warm_up_is_left_to_the_frames(tmp_path: Path) -> None:
    fake_pipeline(tmp_path, nan_from_run=0).warm_up()


def test_a_model_that_fails_at_warm_up_does_not_load(tmp_path: Path) -> None:
    with pytest.raises(LoadFailed, match="fails at warm-up"):
        fake_pipeline(tmp_path, fail_from_run=0).warm_up()


def test_an_alphabet_that_does_not_fit_shows_at_warm_up(tmp_path: Path) -> None:
    manifest = reader()
    decoder = manifest.decoder.model_copy(update={"alphabet": ("a", "b")})
    model = load_model(
        write_fake(tmp_path), manifest.model_copy(update={"decoder": decoder}), RuntimeName.FAKE
    )
    spec = PipelineSpec.model_validate(
        {**ONE_STAGE.model_dump(), "rules": [{"fail": "defects.text == ''", "because": "x"}]}
    )
    with pytest.raises(LoadFailed, match="1×T×3"):
        Pipeline(spec, {"d": model}).warm_up()


def test_a_rule_for_another_kind_of_model_is_refused_at_once(tmp_path: Path) -> None:
    rules = [{"fail": "defects.text == ''", "because": "x"}]
    with pytest.raises(BadInput, match="cannot be evaluated"):
        fake_pipeline(
            tmp_path, PipelineSpec.model_validate({**ONE_STAGE.model_dump(), "rules": rules})
        )


def test_a_pipeline_without_its_model_is_refused() -> None:
    with pytest.raises(BadInput, match="needs the models d"):
        Pipeline(ONE_STAGE, {})


def changed(before: Picture, after: Picture, box: tuple[int, int, int, int]) -> bool:
    x, y, width, height = box
    return not np.array_equal(
        before[y : y + height, x : x + width], after[y : y + height, x : x + width]
    )


def test_the_overlay_is_drawn_on_a_copy(tmp_path: Path) -> None:
    pipeline = fake_pipeline(tmp_path, outputs={"logits": one_scratch().tolist()})
    picture = np.full((480, 640, 3), 128, np.uint8)
    before = picture.copy()
    drawn = draw_result(picture, pipeline.judge(frame_of(picture)))
    assert np.array_equal(picture, before)
    assert changed(before, drawn, (0, 0, 640, 26))
    assert changed(before, drawn, (150, 70, 260, 100))
    assert not changed(before, drawn, (0, 300, 640, 180))
