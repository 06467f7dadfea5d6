from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from inference_core.contract.build import InspectionResult
from inference_core.contract.manifest import ModelManifest
from inference_core.inspection.inspect import inspect_model
from inference_core.inspection.problem import MAX_MODEL_BYTES
from tests.core.onnx_models import brightness_manifest, brightness_model, save

MARKING = Path(__file__).parents[2] / "server/demo/models/chip-marking/model.onnx"


def marking_manifest(**decoder: object) -> ModelManifest:
    output = "softmax_11.tmp_0"
    return ModelManifest.model_validate(
        {
            "task": "text_recognition",
            "inputs": [{"name": "x", "shape": [1, 3, 48, 192]}],
            "outputs": [{"name": output, "shape": [1, 24, 6625]}],
            "decoder": {"kind": "ctc", "output": output, "space_at_end": True, **decoder},
            "licence": "Apache-2.0",
        }
    )


def inspect(model: onnx.ModelProto, folder: Path, **manifest: object) -> InspectionResult:
    return inspect_model(save(model, folder / "model.onnx"), brightness_manifest(**manifest))


def problem_code(result: InspectionResult) -> str:
    assert result.report is None
    assert result.problem is not None
    return result.problem.code


def test_it_reports_what_the_graph_holds(tmp_path: Path) -> None:
    report = inspect(brightness_model(), tmp_path).report

    assert report is not None
    assert report.opset == 17
    assert report.producer == "linewarden-tests"
    assert report.operators == {"Conv": 3, "Relu": 1}
    assert report.parameters == 8 * 27 + 8 * 72 + 3 * 8 + 3
    assert report.inputs[0].shape == (None, 3, None, None)
    assert report.inputs[0].dtype == "float32"


def test_it_accepts_a_published_recogniser_with_its_alphabet() -> None:
    report = inspect_model(MARKING, marking_manifest(alphabet_key="character")).report

    assert report is not None
    assert report.operators["Conv"] == 38
    assert len(report.metadata["character"]) <= 200


def test_it_refuses_a_recogniser_without_its_alphabet() -> None:
    result = inspect_model(MARKING, marking_manifest(alphabet_key="letters"))

    assert problem_code(result) == "missing_alphabet"
    assert "'character'" in result.problem.detail


def test_it_refuses_an_alphabet_of_another_size() -> None:
    result = inspect_model(MARKING, marking_manifest(alphabet=["a", "b"]))

    assert problem_code(result) == "shape_mismatch"


@pytest.mark.parametrize(
    "data", [b"", b"\x00" * 100, b"GIF89a", b"PK\x03\x04" + b"x" * 500, b"\xff" * 64]
)
def test_it_refuses_what_is_not_onnx(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(data)

    assert problem_code(inspect_model(path, brightness_manifest())) == "not_onnx"


def test_it_refuses_a_file_that_was_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(MARKING.read_bytes()[:-1000])

    assert problem_code(inspect_model(path, marking_manifest(alphabet_key="character"))) in (
        "not_onnx",
        "missing_alphabet",
    )


def test_it_refuses_a_file_that_is_too_large_without_reading_it_whole(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    with path.open("wb") as file:
        file.truncate(MAX_MODEL_BYTES + 1)

    assert problem_code(inspect_model(path, brightness_manifest())) == "too_large"


def test_it_never_follows_weights_outside_the_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"\x00" * 32)
    model = brightness_model()
    weight = model.graph.initializer[1]
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="secret")

    assert problem_code(inspect(model, tmp_path)) == "external_data"


def test_it_finds_outside_weights_in_a_branch_of_a_branch(tmp_path: Path) -> None:
    model = brightness_model()
    hidden = numpy_helper.from_array(np.zeros(1, np.float32), "hidden")
    hidden.external_data.add(key="location", value="/etc/passwd")
    inner = helper.make_graph(
        [helper.make_node("Constant", [], ["deep"], value=hidden)], "inner", [], []
    )
    outer = helper.make_graph(
        [helper.make_node("If", ["c"], ["o"], then_branch=inner, else_branch=inner)],
        "outer",
        [],
        [],
    )
    model.graph.node.append(
        helper.make_node("If", ["c"], ["oo"], then_branch=outer, else_branch=outer)
    )

    assert problem_code(inspect(model, tmp_path)) == "external_data"


def test_it_refuses_an_operator_of_a_foreign_domain(tmp_path: Path) -> None:
    model = brightness_model()
    model.graph.node[1].domain = "com.example"

    assert problem_code(inspect(model, tmp_path)) == "unknown_operator"


def test_it_refuses_an_operator_that_does_not_exist(tmp_path: Path) -> None:
    model = brightness_model()
    model.graph.node[1].op_type = "Relu7"

    assert problem_code(inspect(model, tmp_path)) == "unknown_operator"


@pytest.mark.parametrize("name", [b"carried", b"Relu", b"logits", b"spread_conv", b"linewarden"])
def test_it_refuses_a_name_that_is_not_text(tmp_path: Path, name: bytes) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(brightness_model().SerializeToString().replace(name, b"\xff" * len(name)))

    assert problem_code(inspect_model(path, brightness_manifest())) == "not_onnx"


def test_it_refuses_a_weight_that_only_claims_to_be_giant(tmp_path: Path) -> None:
    model = brightness_model()
    model.graph.initializer[0].dims[:] = [2**40, 2**20]

    assert problem_code(inspect(model, tmp_path)) == "too_large"


def test_it_refuses_a_small_file_that_would_unfold_to_a_giant_tensor(tmp_path: Path) -> None:
    model = brightness_model()
    shape = numpy_helper.from_array(np.array([1, 3, 100_000, 100_000], np.int64), "giant_shape")
    model.graph.initializer.append(shape)
    model.graph.node.append(helper.make_node("ConstantOfShape", ["giant_shape"], ["giant"]))

    assert problem_code(inspect(model, tmp_path)) == "too_large"


def test_it_refuses_a_graph_that_reads_a_tensor_nobody_made(tmp_path: Path) -> None:
    model = brightness_model()
    model.graph.node[1].input[0] = "nobody"

    assert problem_code(inspect(model, tmp_path)) == "not_onnx"


@pytest.mark.parametrize(
    ("inputs", "code"),
    [
        ([{"name": "picture", "shape": [1, 3, 32, 48]}], "absent_tensor"),
        ([{"name": "image", "shape": [1, 1, 32, 48]}], "shape_mismatch"),
        ([{"name": "image", "shape": [1, 3, 32, 48], "dtype": "uint8"}], "shape_mismatch"),
    ],
)
def test_it_holds_the_manifest_to_the_graphs_input(
    tmp_path: Path, inputs: list[dict[str, object]], code: str
) -> None:
    assert problem_code(inspect(brightness_model(), tmp_path, inputs=inputs)) == code


def test_it_holds_the_manifest_to_the_output_that_its_input_shape_gives(tmp_path: Path) -> None:
    outputs = [{"name": "logits", "shape": [1, 3, 16, 48]}]

    assert problem_code(inspect(brightness_model(), tmp_path, outputs=outputs)) == "shape_mismatch"


def test_it_refuses_a_second_input_that_nobody_would_feed(tmp_path: Path) -> None:
    model = brightness_model()
    model.graph.input.append(helper.make_tensor_value_info("mood", TensorProto.FLOAT, [1]))

    assert problem_code(inspect(model, tmp_path)) == "absent_tensor"


def test_it_keeps_control_characters_out_of_its_answer(tmp_path: Path) -> None:
    model = brightness_model()
    model.producer_name = "\x1b[2J evil"
    model.metadata_props.add(key="k\x1b", value="v\x07" * 1000)

    answer = inspect(model, tmp_path).to_json().decode()

    assert "\\u001b" not in answer
    assert len(answer) < 3000


def test_it_does_not_wait_for_a_pipe_that_nobody_fills(tmp_path: Path) -> None:
    import os

    path = tmp_path / "model.onnx"
    os.mkfifo(path)

    with pytest.raises(OSError, match="not a regular file"):
        inspect_model(path, brightness_manifest())
