"""Files that come without a manifest: what they say of themselves, or what they do not say."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from onnx import TensorProto, helper
from rest_framework.response import Response
from rest_framework.test import APIClient

from server.accounts.models import Role
from server.registry.licences import warnings_of
from server.registry.models import ModelVersion
from tests.server.catalogue import client_of, onnx_bytes
from tests.server.rows import model_row

pytestmark = pytest.mark.django_db
YOLO = {
    "names": "{0: 'scratch', 1: 'dent'}",
    "stride": "32",
    "task": "detect",
    "imgsz": "[64, 64]",
    "license": "AGPL-3.0 License (https://ultralytics.com/license)",
    "description": "Ultralytics YOLO11n model",
}


def yolo(**changes: str | None) -> bytes:
    """A graph of the shape of a YOLO detector, with the metadata that its exporter writes."""
    grid = np.zeros((1, 6, 84), np.float32)
    picture = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 64, 64])
    boxes = helper.make_tensor_value_info("output0", TensorProto.FLOAT, [1, 6, 84])
    axes = onnx.numpy_helper.from_array(np.array([1, 2, 3]), "axes")
    constant = onnx.numpy_helper.from_array(grid, "grid")
    nodes = [
        helper.make_node("ReduceMean", ["images", "axes"], ["mean"], keepdims=0),
        helper.make_node("Add", ["grid", "mean"], ["output0"]),
    ]
    graph = helper.make_graph(nodes, "main", [picture], [boxes], [axes, constant])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    told = {key: value for key, value in (YOLO | changes).items() if value is not None}
    helper.set_model_props(model, told)
    return bytes(model.SerializeToString())


@pytest.fixture(autouse=True)
def client(db: None) -> APIClient:
    model_row("dents", "detection")
    return client_of(Role.RELEASER)


def send(client: APIClient, data: bytes, model: str = "dents", **changes: Any) -> Response:
    form = {"version": "1.0.0", "file": SimpleUploadedFile("m.onnx", data), **changes}
    return client.post(f"/api/v1/models/{model}/versions", form, format="multipart")


def test_a_foreign_file_becomes_a_version_with_what_it_says_of_itself(client: APIClient) -> None:
    told = send(client, yolo()).json()

    assert told["manifest_origin"] == "recognised: an export of Ultralytics YOLO"
    assert told["manifest"]["decoder"]["labels"] == ["scratch", "dent"]
    assert told["licence"] == "AGPL-3.0"
    assert [warning["code"] for warning in told["warnings"]] == ["licence_agpl"]
    assert told["report"]["metadata"]["stride"] == "32"


def test_a_licence_is_taken_from_the_form_only_where_the_file_names_none(
    client: APIClient,
) -> None:
    assert send(client, yolo(license=None), licence="MIT").json()["licence"] == "MIT"
    ModelVersion.objects.all().delete()
    assert send(client, yolo(), licence="MIT").json()["licence"] == "AGPL-3.0"


@pytest.mark.parametrize(
    ("data", "model", "said", "missing"),
    [
        (onnx_bytes, "dents", "It does not say", True),
        (lambda: yolo(task="pose"), "dents", "'pose', which is not supported", False),
        (lambda: yolo(names="__import__('os')"), "dents", "none could be made", False),
        (yolo, "boards", "is for detection, but boards is for segmentation", False),
        (lambda: b"GIF89a", "dents", "is refused", False),
    ],
)
def test_what_it_does_not_say_is_asked_for(
    client: APIClient, data: Any, model: str, said: str, missing: bool
) -> None:
    model_row("boards", "segmentation")
    answer = send(client, data(), model)

    assert answer.status_code == 422, answer.content
    problem = answer.json()
    assert said in problem["detail"]
    assert bool(problem.get("missing")) is missing
    assert "linewarden-upload" not in problem["detail"]
    assert not ModelVersion.objects.exists()


@pytest.mark.parametrize(
    ("licence", "declared", "codes"),
    [
        ("Apache-2.0", "", set()),
        ("Apache-2.0", "Apache-2.0 License", set()),
        ("MIT", "AGPL-3.0 License (https://x)", {"licence_agpl", "licence_differs"}),
        ("AGPL-3.0-or-later", "AGPL-3.0 License", {"licence_agpl"}),
        ("LGPL-3.0", "", set()),
        ("GPL-3.0-only", "", {"licence_gpl"}),
        ("CC-BY-NC-4.0", "", {"licence_non_commercial"}),
        ("NOASSERTION", "", {"licence_unknown"}),
        ("NOASSERTION", "AGPL-3.0", {"licence_agpl", "licence_unknown"}),
    ],
)
def test_licences_that_bind_are_warned_of(licence: str, declared: str, codes: set[str]) -> None:
    metadata = {"license": declared} if declared else {}
    assert {warning.code for warning in warnings_of(licence, metadata)} == codes
