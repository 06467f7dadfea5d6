"""Hostile uploads, through the real API to the real child: refused in words, and nothing is left.

Rows 60 to 62 of the matrix of faults.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import psutil
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from rest_framework.test import APIClient

from inference_core.contract.build import InspectionReport
from inference_core.inspection.problem import MAX_DEPTH
from server.accounts.models import Role
from server.lib.errors import Invalid
from server.registry.inspection import inspect_model
from server.registry.models import ModelVersion, VisionModel
from tests.core.onnx_models import brightness_manifest, brightness_model
from tests.server import catalogue

pytestmark = pytest.mark.django_db
MEMORY_SLACK_BYTES = 96 * 1024**2
Forge = Callable[[onnx.ModelProto], object]


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others on this machine may inspect at the same moment."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))


@pytest.fixture
def model(tmp_path: Path, settings: Any) -> VisionModel:
    default = {**settings.STORAGES["default"], "OPTIONS": {"location": tmp_path / "blobs"}}
    settings.STORAGES = {**settings.STORAGES, "default": default}
    return catalogue.vision_model()


@pytest.fixture
def releaser(db: None) -> APIClient:
    return catalogue.client_of(Role.RELEASER)


def upload(client: APIClient, model: VisionModel, data: bytes) -> Any:
    form = {
        "version": "1.0.0",
        "manifest": catalogue.manifest_json(),
        "file": SimpleUploadedFile("model.onnx", data),
    }
    return client.post(f"/api/v1/models/{model.name}/versions", form, format="multipart")


def outside(path: str) -> Forge:
    def forge(graph: onnx.ModelProto) -> None:
        weight = graph.graph.initializer[1]
        weight.ClearField("raw_data")
        weight.data_location = TensorProto.EXTERNAL
        weight.external_data.add(key="location", value=path)

    return forge


def claim(*dims: int) -> Forge:
    return lambda graph: (
        graph.graph.initializer[0].ClearField("dims")
        or (graph.graph.initializer[0].dims.extend(dims))
    )


def unfold(graph: onnx.ModelProto) -> None:
    shape = numpy_helper.from_array(np.array([1, 3, 100_000, 100_000], np.int64), "giant_shape")
    graph.graph.initializer.append(shape)
    graph.graph.node.append(helper.make_node("ConstantOfShape", ["giant_shape"], ["giant"]))


def many_large(graph: onnx.ModelProto) -> None:
    """Each tensor alone is small enough; together nobody could hold them."""
    graph.graph.initializer.append(
        numpy_helper.from_array(np.array([1, 1, 16_000, 16_000], np.int64), "large")
    )
    for number in range(20):
        graph.graph.node.append(helper.make_node("ConstantOfShape", ["large"], [f"l{number}"]))


def nest(graph: onnx.ModelProto) -> None:
    inner = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "inner", [], [])
    for number in range(MAX_DEPTH + 2):
        node = helper.make_node("If", ["c"], [f"o{number}"], then_branch=inner, else_branch=inner)
        if number > 3:  # both branches would double the file at each level
            node = helper.make_node("If", ["c"], [f"o{number}"], then_branch=inner)
        inner = helper.make_graph([node], f"g{number}", [], [])
    graph.graph.node.append(helper.make_node("If", ["c"], ["out"], then_branch=inner))


def chain(graph: onnx.ModelProto) -> None:
    graph.graph.node.extend(
        helper.make_node("Relu", ["positive"], [f"r{number}"]) for number in range(60_000)
    )


def train(graph: onnx.ModelProto) -> None:
    weight = graph.training_info.add().algorithm.initializer.add()
    weight.external_data.add(key="location", value="/etc/passwd")


HOSTILE: dict[str, tuple[Forge, str]] = {
    "weights in a parent folder": (outside("../../../etc/passwd"), "external_data"),
    "weights at an absolute path": (outside("/etc/shadow"), "external_data"),
    "weights in a device": (outside("/dev/zero"), "external_data"),
    "dimensions beyond memory": (claim(2**40, 2**20), "too_large"),
    "dimensions whose product overflows": (claim(2**62, 4, 2), "too_large"),
    "a negative dimension": (claim(-1, 3), "too_large"),
    "a small file that unfolds": (unfold, "too_large"),
    "many that only together are giant": (many_large, "too_large"),
    "graphs in graphs": (nest, "too_large"),
    "sixty thousand nodes": (chain, "too_large"),
    "a training with weights elsewhere": (train, "not_onnx"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_model_is_refused_in_words_and_nothing_of_it_is_left(
    model: VisionModel, releaser: APIClient, name: str
) -> None:
    forge, code = HOSTILE[name]
    hostile = brightness_model()
    forge(hostile)
    answer = upload(releaser, model, hostile.SerializeToString())
    assert answer.status_code == 422, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["inspection"] == code
    assert len(answer.json()["detail"]) > 20
    assert_nothing_is_left()
    assert not ModelVersion.objects.exists()


def crowd() -> bytes:
    """Two bytes a node, and some hundred in the memory of whoever reads it: 8 MB, four million."""
    nodes = b"\x0a\x00" * 4_000_000
    return b"\x08\x08" + b"\x3a" + _varint(len(nodes)) + nodes


def burrow() -> bytes:
    """A node in an attribute in a node, twenty thousand deep."""
    data = b""
    for _ in range(20_000):
        data = b"\x0a" + _varint(len(data)) + data
    return b"\x08\x08\x3a" + _varint(len(data)) + data


def _varint(number: int) -> bytes:
    out = b""
    while number > 0x7F:
        out, number = out + bytes([number & 0x7F | 0x80]), number >> 7
    return out + bytes([number])


@pytest.mark.parametrize("bomb", [crowd, burrow], ids=["crowd", "burrow"])
def test_a_bomb_costs_the_child_its_life_at_most_and_the_servers_memory_stays_flat(
    model: VisionModel, releaser: APIClient, bomb: Callable[[], bytes]
) -> None:
    data = bomb()
    before = psutil.Process().memory_info().rss
    answer = upload(releaser, model, data)
    assert answer.status_code == 422, answer.content
    assert answer.json()["inspection"] in {"too_large", "not_onnx", "inspection_failed"}
    assert psutil.Process().memory_info().rss - before < MEMORY_SLACK_BYTES + 2 * len(data)
    assert_nothing_is_left()
    assert upload(releaser, model, catalogue.onnx_bytes()).status_code == 201


def assert_nothing_is_left() -> None:
    commands = [" ".join(child.cmdline()) for child in psutil.Process().children(recursive=True)]
    assert [command for command in commands if "inference_core" in command] == []
    assert list(Path(tempfile.gettempdir()).glob("linewarden-*")) == []


IN_A_CHILD_EACH = settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@IN_A_CHILD_EACH
@given(st.data())
def test_every_damaged_copy_of_a_model_ends_in_a_report_or_in_words(
    tmp_path: Path, data: st.DataObject
) -> None:
    damaged = bytearray(catalogue.onnx_bytes())
    places = st.integers(0, len(damaged) - 1)
    for place, value in data.draw(
        st.lists(st.tuples(places, st.integers(0, 255)), min_size=1, max_size=8)
    ):
        damaged[place] = value
    cut = data.draw(st.integers(len(damaged) // 2, len(damaged)))
    path = tmp_path / "model.onnx"
    path.write_bytes(damaged[:cut])
    answer = report_or_problem(path)
    if isinstance(answer, Invalid):
        assert answer.extra["inspection"]
        assert "The model is refused" in answer.detail
    assert_nothing_is_left()


def report_or_problem(path: Path) -> InspectionReport | Invalid:
    """Any other error is the server's own, and fails the test."""
    try:
        return inspect_model(path, brightness_manifest())
    except Invalid as problem:
        return problem


def test_the_report_says_which_runtimes_take_the_model_and_names_the_node_that_one_lacks(
    model: VisionModel, releaser: APIClient
) -> None:
    odd = brightness_model()
    odd.graph.node[-1].output[0] = "plain"
    odd.graph.node.append(
        helper.make_node("LpPool", ["plain"], ["logits"], "level", kernel_shape=[1, 1])
    )
    answer = upload(releaser, model, odd.SerializeToString())
    assert answer.status_code == 201, answer.content
    support = answer.json()["report"]["support"]
    assert support["onnxruntime"]["answer"] == "yes"
    lacking = support["opencv_dnn"]
    assert (lacking["answer"], lacking["node"]) == ("no", "level")
    assert "LpPool" in lacking["why"]
    assert support["litert"]["answer"] == "unknown"
    assert json.dumps(support).count("answer") == 5
