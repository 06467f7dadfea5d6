from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest

from inference_core.contract.build import LatencyFigures, ParityFigures, ParityLimits
from inference_core.contract.words import Precision
from inference_core.datasets import read_dataset
from inference_core.errors import NotFinite
from inference_core.optimize import parity
from inference_core.optimize.bench import bench
from inference_core.optimize.fold import fold
from inference_core.optimize.publish import publish
from inference_core.optimize.quantize import find_fragile_convolutions
from inference_core.optimize.select import Trial, choose, report
from inference_core.runtimes.base import Array
from inference_core.runtimes.onnxruntime import RUNTIME
from tests.core.build_jobs import write_pictures
from tests.core.onnx_models import brightness_manifest, brightness_model, save
from tests.core.test_inspection import MARKING, marking_manifest

LIMITS = ParityLimits()


def make_figures(**changes: object) -> ParityFigures:
    fields: dict[str, object] = {
        "metric": "mean_iou",
        "reference": 0.76,
        "artifact": 0.76,
        "share": 1.0,
        "per_class": {"scratch": (0.7, 0.7), "missing_metal": (0.82, 0.82)},
        "score_shift": 0.01,
        "agreement": 1.0,
        "images": 32,
    }
    return ParityFigures.model_validate({**fields, **changes})


def make_trial(precision: str, p50_ms: float, size_bytes: int = 100) -> Trial:
    return Trial(
        Precision(precision),
        Path("unused"),
        parity=make_figures(),
        latency=LatencyFigures(p50_ms=p50_ms, p95_ms=p50_ms, runs=5),
        size_bytes=size_bytes,
    )


def test_a_candidate_that_keeps_every_limit_passes() -> None:
    assert parity.refuse_candidate("int8", make_figures(), LIMITS) is None


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"artifact": 0.708, "share": 0.9316},
            "int8 kept 93.2% of mean IoU (0.708 of 0.760); at least 99.0% is asked",
        ),
        (
            {"per_class": {"scratch": (0.7, 0.6)}},
            "int8 kept 85.7% of the IoU of scratch; at least 97.0% is asked of each class",
        ),
        (
            {"agreement": 0.875, "images": 96},
            (
                "int8 kept 100.0% of mean IoU (0.760 of 0.760), but gave the same answer on 87.5% "
                "of 96 golden images; at least 95.0% is asked"
            ),
        ),
        (
            {"score_shift": 0.08},
            "int8 moved the scores by 0.080 on average; at most 0.050 is allowed",
        ),
    ],
)
def test_a_broken_limit_is_told_in_a_sentence(changes: dict[str, object], sentence: str) -> None:
    assert parity.refuse_candidate("int8", make_figures(**changes), LIMITS) == sentence


def test_a_class_that_the_artifact_lost_entirely_is_refused() -> None:
    reading = parity.Reading(answer="", score=0.5)
    reference = parity.Evaluation("mean_iou", 0.8, {"scratch": 0.6, "dent": 1.0}, (reading,))
    artifact = parity.Evaluation("mean_iou", 0.8, {"dent": 1.0}, (reading,))

    figures = parity.compare(reference, artifact)

    assert figures.per_class["scratch"] == (0.6, 0.0)
    assert "scratch" in (parity.refuse_candidate("int8", figures, LIMITS) or "")


def test_the_fastest_candidate_is_chosen_not_the_smallest() -> None:
    fast, small = make_trial("fp32", 8.0, size_bytes=900), make_trial("int8", 9.0, size_bytes=100)

    assert choose([small, fast]) is fast


def test_equally_fast_candidates_are_told_apart_by_size() -> None:
    large, small = make_trial("fp32", 8.0, size_bytes=900), make_trial("int8", 8.0, size_bytes=100)

    assert choose([large, small]) is small


def test_a_refused_candidate_is_never_chosen_however_fast() -> None:
    slow, refused = make_trial("fp32", 50.0), make_trial("int8", 1.0)
    refused.give_up("refused", "int8 lost it")

    chosen = choose([slow, refused])
    candidates = report([slow, refused], chosen)

    assert chosen is slow
    assert [candidate.outcome for candidate in candidates] == ["chosen", "refused"]
    assert candidates[1].reason == "int8 lost it"


def test_nothing_is_chosen_where_nothing_passed() -> None:
    refused = make_trial("int8", 1.0)
    refused.give_up("failed", "it does not load")

    assert choose([refused]) is None


def test_candidates_are_measured_in_turns() -> None:
    calls: list[str] = []

    class Recorder:
        inputs = outputs = ()
        metadata: Mapping[str, str] = {}

        def __init__(self, name: str) -> None:
            self.name = name

        def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
            calls.append(self.name)
            return {}

        def close(self) -> None:
            raise AssertionError("the caller closes")

    figures = bench({name: Recorder(name) for name in "ab"}, {}, runs=4)

    assert calls[-8:] == list("abbaabba")
    assert figures["a"].runs == figures["b"].runs == 4


def test_a_model_that_answers_nan_is_not_judged(tmp_path: Path) -> None:
    model = brightness_model()
    weights = model.graph.initializer[2]
    weights.raw_data = np.full(24, np.nan, np.float32).tobytes()
    golden = read_dataset(write_pictures(tmp_path / "golden", seed=2))
    session = RUNTIME.load(save(model, tmp_path / "m.onnx"), brightness_manifest())

    with pytest.raises(NotFinite):
        parity.evaluate(session, brightness_manifest(), golden)


def test_a_perfect_model_reaches_a_mean_iou_near_one(tmp_path: Path) -> None:
    golden = read_dataset(write_pictures(tmp_path / "golden", seed=2))
    session = RUNTIME.load(save(brightness_model(), tmp_path / "m.onnx"), brightness_manifest())

    evaluation = parity.evaluate(session, brightness_manifest(), golden)

    assert evaluation.value > 0.9
    assert set(evaluation.per_class) == {"dark", "bright"}
    assert {reading.answer for reading in evaluation.readings} == {"dark,bright"}


def test_folding_keeps_names_metadata_and_answers(tmp_path: Path) -> None:
    manifest = marking_manifest(alphabet_key="character")
    folded = tmp_path / "folded.onnx"
    fold(MARKING, manifest, folded)
    before, after = onnx.load(str(MARKING)), onnx.load(str(folded))
    picture = np.random.default_rng(0).random((1, 3, 48, 192), np.float32)

    answers = [
        RUNTIME.load(path, manifest).run({"x": picture})["softmax_11.tmp_0"]
        for path in (MARKING, folded)
    ]

    assert len(after.graph.node) < len(before.graph.node) / 2
    assert after.ir_version == before.ir_version
    assert [(e.domain, e.version) for e in after.opset_import] == [("", 12)]
    assert after.metadata_props[0].value == before.metadata_props[0].value
    np.testing.assert_allclose(answers[0], answers[1], atol=1e-5)


def test_the_convolution_that_makes_the_scores_stays_in_float() -> None:
    assert find_fragile_convolutions(brightness_model()) == ["gather_conv"]


def test_depthwise_convolutions_stay_in_float(tmp_path: Path) -> None:
    folded = tmp_path / "folded.onnx"
    fold(MARKING, marking_manifest(alphabet_key="character"), folded)
    model = onnx.load(str(folded))

    depthwise = [
        node.name
        for node in model.graph.node
        if node.op_type == "Conv" and any(a.name == "group" and a.i > 1 for a in node.attribute)
    ]

    assert depthwise
    assert set(find_fragile_convolutions(model)) == set(depthwise)


def test_an_artifact_that_does_not_fit_on_the_disk_leaves_nothing(tmp_path: Path) -> None:
    code = """
import resource, sys
from pathlib import Path
from inference_core.optimize.publish import publish
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
publish(bytes(1_000_000), Path(sys.argv[1]), ".onnx")
"""
    child = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "out")], capture_output=True, check=False
    )

    assert b"File too large" in child.stderr
    assert list((tmp_path / "out").iterdir()) == []


def test_an_artifact_lies_under_its_own_digest(tmp_path: Path) -> None:
    path, digest = publish(b"engine", tmp_path, ".onnx")

    assert path == tmp_path / f"{digest}.onnx"
    assert path.read_bytes() == b"engine"
    assert list(tmp_path.iterdir()) == [path]


def test_no_library_opens_a_connection_or_leaves_an_identity_behind(tmp_path: Path) -> None:
    """OpenVINO, NNCF and ONNX Runtime each report to their makers unless they are silenced."""
    code = """
import sys
from pathlib import Path
calls = []
sys.addaudithook(lambda name, args: calls.append(name) if name.startswith("socket.") else None)
from inference_core.contract.words import Precision
from inference_core.datasets import read_dataset
from inference_core.optimize.builders.base import Source
from inference_core.optimize.builders.openvino import BUILDER
from inference_core.optimize.feed import Feed
from inference_core.optimize.fold import fold
from tests.core.onnx_models import brightness_manifest
folder, manifest = Path(sys.argv[1]), brightness_manifest()
fold(folder / "open.onnx", manifest, folder / "folded.onnx")
feed = Feed(read_dataset(folder / "set"), manifest)
BUILDER.build(
    Source(folder / "folded.onnx", manifest, feed, "x86_64"), Precision.INT8, folder / "a.zip"
)
print({"openvino", "nncf", "onnxruntime"} <= set(sys.modules), calls, file=sys.stderr)
"""
    write_pictures(tmp_path / "set", seed=1)
    save(brightness_model(), tmp_path / "open.onnx")
    home = tmp_path / "home"
    home.mkdir()

    child = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env={"HOME": str(home), "PATH": "/usr/bin:/bin"},
    )

    assert child.stderr.strip().splitlines()[-1] == "True []", child.stderr
    assert (tmp_path / "a.zip").is_file()
    assert list(home.iterdir()) == []
