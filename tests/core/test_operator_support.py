"""Which runtimes take a graph: the tables are the installed runtimes' own words."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from inference_core.contract.words import RuntimeName
from inference_core.inspection.probe import TABLES, find_lacks
from inference_core.inspection.support import judge_support
from inference_core.runtimes.lookup import get_runtime
from tests.core.onnx_models import brightness_model

MARKING = Path(__file__).parents[2] / "server/demo/models/chip-marking/model.onnx"
TABLE = json.loads(TABLES.read_text())
COMMON = ["Conv", "Relu", "MaxPool", "Resize", "Concat", "MatMul", "Softmax", "Gather", "TopK"]
PROBED = [RuntimeName.ONNXRUNTIME, RuntimeName.OPENVINO, RuntimeName.OPENCV_DNN]


@pytest.mark.parametrize("name", PROBED)
def test_the_table_is_what_the_installed_runtime_says(name: RuntimeName) -> None:
    table = TABLE["runtimes"][name]
    assert table["version"] == get_runtime(name).version(), (
        "another version is installed: python -m inference_core.inspection.probe"
    )
    assert find_lacks(name, [*COMMON, *table["lacks"]]) == set(table["lacks"])


def with_end(*nodes: onnx.NodeProto) -> onnx.ModelProto:
    model = brightness_model()
    model.graph.node[-1].output[0] = "plain"
    model.graph.node.extend(nodes)
    return model


def test_the_first_node_that_a_runtime_lacks_is_named() -> None:
    node = helper.make_node("Det", ["plain"], ["logits"], "determinant")
    answer = judge_support(with_end(node))["openvino"]
    assert (answer.answer, answer.node, answer.operator) == ("no", "determinant", "Det")
    assert "has no Det, which node 'determinant' needs" in answer.why


def test_a_node_without_a_name_is_called_by_what_it_makes() -> None:
    answer = judge_support(with_end(helper.make_node("Det", ["plain"], ["logits"])))["openvino"]
    assert answer.node == "logits"


def test_what_a_build_folds_away_is_no_hindrance() -> None:
    model = with_end(
        helper.make_node("Shape", ["image"], ["sides"]),
        helper.make_node("Det", ["square"], ["one"], "constant"),
        helper.make_node("Mul", ["plain", "one"], ["logits"]),
    )
    model.graph.initializer.append(numpy_helper.from_array(np.eye(2, dtype=np.float32), "square"))
    assert judge_support(model)["openvino"].answer == "yes"


def test_chance_is_not_folded_though_it_depends_on_nothing() -> None:
    model = with_end(
        helper.make_node("Bernoulli", ["square"], ["one"], "dice"),
        helper.make_node("Mul", ["plain", "one"], ["logits"]),
    )
    model.graph.initializer.append(numpy_helper.from_array(np.eye(2, dtype=np.float32), "square"))
    assert judge_support(model)["opencv_dnn"].node == "dice"


def test_nodes_in_branches_count_too() -> None:
    branch = helper.make_graph(
        [helper.make_node("Det", ["plain"], ["d"], "hidden")],
        "branch",
        [],
        [helper.make_tensor_value_info("d", TensorProto.FLOAT, None)],
    )
    node = helper.make_node("If", ["c"], ["logits"], then_branch=branch, else_branch=branch)
    assert judge_support(with_end(node))["openvino"].node == "hidden"


def test_an_operator_that_was_never_offered_is_not_known() -> None:
    model = with_end(helper.make_node("OfTomorrow", ["plain"], ["logits"], "new"))
    answer = judge_support(model)["onnxruntime"]
    assert (answer.answer, answer.node) == ("unknown", "new")


def test_a_newer_operator_set_than_a_runtime_loads_is_a_no(monkeypatch: pytest.MonkeyPatch) -> None:
    model = brightness_model()
    newest = onnx.defs.onnx_opset_version()
    model.opset_import[0].version = newest
    tables = {name: t | {"newest_opset": newest - 1} for name, t in TABLE["runtimes"].items()}
    from inference_core.inspection import support

    older = support._Tables.model_validate(TABLE | {"runtimes": tables})
    monkeypatch.setattr(support, "_read_tables", lambda: older)
    answer = judge_support(model)["openvino"]
    assert answer.answer == "no"
    assert f"up to {newest - 1}" in answer.why


def test_every_sample_of_the_product_is_taken_by_the_runtimes_that_run_it() -> None:
    model = onnx.load(str(MARKING))
    answers = judge_support(model)
    assert {answers[str(name)].answer for name in PROBED} == {"yes"}
