from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from inference_core.contract.build import BUILD_EVENT, BuildOutcome, ProfileSpec, TensorRtProfile
from inference_core.contract.manifest import ModelManifest
from inference_core.contract.words import Precision
from inference_core.errors import RuntimeUnavailable
from inference_core.optimize.builders.base import Source
from inference_core.optimize.fold import fold
from inference_core.optimize.problem import ConversionFailed
from inference_core.optimize.quantize import quantize_onnx
from inference_core.runtimes.onnxruntime import RUNTIME as ONNX
from inference_core.tensorrt.build import build_engine
from inference_core.tensorrt.engine_file import read_facts, read_plan
from inference_core.tensorrt.library import find_library
from inference_core.tensorrt.target import choose_target
from tests.core.build_jobs import Child, make_job
from tests.core.onnx_models import brightness_model
from tests.core.tensorrt.engines import build, make_driver, make_source

BOARD = Path(__file__).parents[3] / "server/demo/models/board-defects"
PLAN_MAGIC = b"vtrt"


@pytest.mark.parametrize("precision", list(Precision))
def test_every_precision_becomes_an_engine(precision: Precision, tmp_path: Path) -> None:
    path = build(make_source(tmp_path), tmp_path, precision)

    facts = read_facts(path)
    assert read_plan(path).lstrip(b"\0")[:4] == PLAN_MAGIC
    assert facts.precision is precision
    assert facts.version == find_library("rtx").version
    assert facts.compute_capabilities == ("8.6",)
    # Callers feed and read float32 whatever the arithmetic.
    assert {each.dtype for each in (*facts.inputs, *facts.outputs)} == {"float32"}


def test_a_real_model_loses_weight_in_fp16(tmp_path: Path) -> None:
    manifest = ModelManifest.model_validate_json((BOARD / "manifest.json").read_bytes())
    folded = tmp_path / "board.onnx"
    fold(BOARD / "model.onnx", manifest, folded)
    source = dataclasses.replace(make_source(tmp_path), folded=folded, manifest=manifest)

    sizes = [
        build(source, tmp_path, precision).stat().st_size
        for precision in (Precision.FP32, Precision.FP16)
    ]

    assert sizes[1] < sizes[0]


def test_one_engine_serves_several_kinds_of_gpu(tmp_path: Path) -> None:
    path = build(make_source(tmp_path, compute_capabilities=["12.0", "8.9", "7.5"]), tmp_path)

    assert read_facts(path).compute_capabilities == ("7.5", "8.9", "12.0")


@pytest.mark.parametrize("precision", list(Precision))
def test_a_batch_range_leaves_the_first_side_open(precision: Precision, tmp_path: Path) -> None:
    source = make_source(tmp_path, batch={"minimum": 1, "optimal": 2, "maximum": 8})

    facts = read_facts(build(source, tmp_path, precision))

    (image,) = facts.inputs
    assert [image.minimum[0], image.optimal[0], image.maximum[0]] == [1, 2, 8]
    assert image.facts.shape == (None, 3, 32, 48)
    assert facts.outputs[0].shape == (None, 3, 32, 48)


def test_a_graph_with_a_fixed_batch_gets_no_batch_range(tmp_path: Path) -> None:
    model = brightness_model()
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    source = make_source(tmp_path, model, batch={"optimal": 2, "maximum": 8})

    with pytest.raises(ConversionFailed, match="export the model with an open batch"):
        build(source, tmp_path)


def test_a_batch_range_without_the_manifests_batch_is_refused(tmp_path: Path) -> None:
    source = make_source(tmp_path, batch={"minimum": 2, "optimal": 2, "maximum": 8})

    with pytest.raises(ConversionFailed, match="leaves out the manifest's 1"):
        build(source, tmp_path)


def test_progress_is_told_while_it_builds(tmp_path: Path) -> None:
    lines: list[str] = []

    build(dataclasses.replace(make_source(tmp_path), tell=lines.append), tmp_path)

    assert lines
    assert all(line.startswith("fp32: ") for line in lines)


def test_the_symmetric_recipe_answers_as_the_float_model_does(tmp_path: Path) -> None:
    """ONNX Runtime reads the same Q/DQ: what TensorRT is given is sound."""
    source = make_source(tmp_path)
    quantised = tmp_path / "quantised.onnx"
    quantize_onnx(source.folded, source.calibration, quantised, signed=True, symmetric=True)
    picture = next(iter(source.calibration))

    answers = [
        ONNX.load(path, source.manifest).run(picture)["logits"].argmax(1)
        for path in (source.folded, quantised)
    ]

    assert (answers[0] == answers[1]).mean() > 0.99


@pytest.mark.parametrize(
    ("signed", "problem"), [(False, "keeps a bias in int32|uses uint8"), (True, "int32|not 0")]
)
def test_qdq_made_for_another_runtime_is_refused(
    signed: bool, problem: str, tmp_path: Path
) -> None:
    source = make_source(tmp_path)
    foreign = tmp_path / "foreign.onnx"
    quantize_onnx(source.folded, source.calibration, foreign, signed=signed)

    with pytest.raises(ConversionFailed, match=problem) as refused:
        build(dataclasses.replace(source, folded=foreign), tmp_path)

    assert "int8 with zero points of 0 only" in str(refused.value)


def _qdq(zero: np.ndarray) -> onnx.ModelProto:
    """Quantise, dequantise: what a Q/DQ file of a stranger may look like."""
    nodes = [
        helper.make_node("QuantizeLinear", ["image", "scale", "zero"], ["q"], "q"),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["logits"], "dq"),
    ]
    shape = ["n", 3, 32, 48]
    graph = helper.make_graph(
        nodes,
        "qdq",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(np.float32(0.1), "scale"), numpy_helper.from_array(zero, "zero")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize(
    ("zero", "problem"),
    [(np.uint8(0), "'q' uses uint8"), (np.int8(3), "'q' has a zero point that is not 0")],
)
def test_the_sentence_names_the_node(zero: np.ndarray, problem: str, tmp_path: Path) -> None:
    with pytest.raises(ConversionFailed, match=problem):
        build(make_source(tmp_path, _qdq(np.asarray(zero))), tmp_path)


def test_symmetric_int8_of_a_stranger_is_taken(tmp_path: Path) -> None:
    assert build(make_source(tmp_path, _qdq(np.asarray(np.int8(0)))), tmp_path).is_file()


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x08\x08\x12\x05"])
def test_a_broken_file_ends_in_a_sentence(content: bytes, tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(content)
    source = dataclasses.replace(make_source(tmp_path), folded=broken)

    with pytest.raises(ConversionFailed, match="no ONNX file"):
        build(source, tmp_path)


def test_all_that_the_parser_finds_is_told_at_once(tmp_path: Path) -> None:
    source = make_source(tmp_path)
    model = onnx.load(str(source.folded))
    for node in model.graph.node[:2]:
        node.op_type, node.name = "Frobnicate", f"odd_{node.op_type}"
    onnx.save(model, str(source.folded))

    with pytest.raises(ConversionFailed, match="cannot read the graph") as failed:
        build(source, tmp_path)

    assert "'odd_Conv' (Frobnicate)" in str(failed.value)
    assert "'odd_Relu' (Frobnicate)" in str(failed.value)


def test_what_the_builder_says_is_in_the_sentence(tmp_path: Path) -> None:
    source = make_source(tmp_path, workspace_bytes=1024)

    with pytest.raises(ConversionFailed, match="workspace"):
        build(source, tmp_path)


@pytest.mark.parametrize(
    ("profile", "problem"),
    [
        ({"compute_capabilities": ["5.3"]}, "no compute capability 5.3; it knows 12.0, 12.1, 7.5"),
        ({"dla_core": 0}, "asks for DLA core 0, and .* finds 0 here"),
        ({"hardware_compatibility": "ampere_plus"}, "name several compute capabilities"),
    ],
)
def test_what_the_library_would_ignore_is_refused(
    profile: dict[str, object], problem: str, tmp_path: Path
) -> None:
    with pytest.raises(ConversionFailed, match=problem):
        build(make_source(tmp_path, **profile), tmp_path)


def test_another_version_than_the_devices_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RuntimeUnavailable, match=r"have version 10\.3, and here is TensorRT for"):
        build(make_source(tmp_path, version="10.3"), tmp_path)


def test_a_version_is_compared_part_by_part(tmp_path: Path) -> None:
    version = find_library("rtx").version
    source = make_source(tmp_path, version=version.rsplit(".", 1)[0])
    cut_short = TensorRtProfile(flavour="rtx", version=version[:-1])

    assert build(source, tmp_path).is_file()
    with pytest.raises(RuntimeUnavailable):
        build(dataclasses.replace(source, tensorrt=cut_short), tmp_path)


def test_a_level_of_optimisation_is_obeyed(tmp_path: Path) -> None:
    source = make_source(tmp_path, optimisation_level=0, workspace_bytes=1 << 28)
    target = choose_target(source.tensorrt)

    assert build_engine(target, source.folded, lambda _: None).plan


def test_the_build_child_tells_that_no_gpu_can_judge_the_engine(tmp_path: Path) -> None:
    """The engines are made; to be judged they must run, and nothing is published unjudged."""
    profile = ProfileSpec.model_validate(
        {
            "name": "rtx-cell",
            "runtime": "tensorrt",
            "architecture": "x86_64",
            "precisions": ["fp32", "int8"],
            "tensorrt": {"flavour": "rtx", "compute_capabilities": ["8.9"]},
        }
    )
    job = tmp_path / "job.json"
    job.write_bytes(make_job(tmp_path, brightness_model(), profile=profile).to_json())
    driver = make_driver(tmp_path, init=100)

    child = Child("build", "--job", str(job), environment={"LD_LIBRARY_PATH": str(driver.parent)})

    assert child.code == 2, child.log
    events = [BUILD_EVENT.validate_json(line) for line in child.out.splitlines()]
    outcome = events[-1]
    assert isinstance(outcome, BuildOutcome)
    assert "cuInit said CUDA_ERROR_NO_DEVICE (100)" in outcome.reason
    assert "int8 was built, but cannot be run here, so it is not certified" in outcome.reason
    assert "let the builder of rtx-cell work on that hardware" in outcome.reason
    assert all((candidate.size_bytes or 0) > 10_000 for candidate in outcome.candidates)
    assert [candidate.outcome for candidate in outcome.candidates] == ["failed", "failed"]
    assert any("int8: building engine" in getattr(event, "detail", "") for event in events)
    assert not (tmp_path / "out").exists()


def test_a_source_says_nothing_of_tensorrt_unless_it_must(tmp_path: Path) -> None:
    bare = make_source(tmp_path)

    assert Source(bare.folded, bare.manifest, bare.calibration, "x86_64").tensorrt is None
