"""Where a version comes from: told once, checked then, and readable from both ends."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.response import Response

from server.accounts.models import Role
from server.registry.lineage import MAX_NODES, lineage_of
from server.registry.models import ModelVersion, VisionModel
from tests.server.catalogue import MODEL, client_of, manifest_json, onnx_bytes
from tests.server.rows import dataset_row, model_row, version_row

pytestmark = pytest.mark.django_db
VERSIONS = f"/api/v1/models/{MODEL}/versions"
TOLD = {
    "metrics": '{"mean_iou": 0.91, "mAP50-95(B)": 0.5}',
    "parent": "1.0.0",
    "trained_on": "boards/1",
    "recipe": '{"name": "fine-tune", "epochs": 3}',
}


@pytest.fixture
def model(db: None) -> VisionModel:
    dataset_row("boards", "training")
    return model_row()


@pytest.fixture
def parent(model: VisionModel) -> ModelVersion:
    return version_row(model, "1.0.0")


def send(version: str = "1.1.0", **changes: Any) -> Response:
    form = {
        "version": version,
        "manifest": manifest_json(metrics={"mean_iou": 0.1, "own": 2}),
        "file": SimpleUploadedFile("model.onnx", onnx_bytes()),
        **TOLD,
        **changes,
    }
    return client_of(Role.RELEASER).post(VERSIONS, form, format="multipart")


def test_an_upload_tells_where_it_comes_from(parent: ModelVersion) -> None:
    answer = send()

    assert answer.status_code == 201, answer.content
    told = client_of(Role.VIEWER).get(f"{VERSIONS}/1.1.0").json()
    assert told["metrics"] == {"mean_iou": 0.91, "mAP50-95(B)": 0.5, "own": 2.0}
    assert told["parent"] == {"model": MODEL, "version": "1.0.0"}
    assert told["trained_on"] == {"name": "boards", "version": "1"}
    assert told["recipe"] == {"name": "fine-tune", "epochs": 3}
    assert (told["source"], told["manifest_origin"], told["warnings"]) == (None, "", [])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"parent": "9.9.9"}, "no version here"),
        ({"parent": "none/1.0.0"}, "no version here"),
        ({"parent": "marks/1.0.0"}, "is for text_recognition"),
        ({"trained_on": "boards/9"}, "no dataset version"),
        ({"trained_on": "boards"}, "no dataset version"),
        ({"recipe": "[]"}, "JSON object with a name"),
        ({"recipe": '{"epochs": 3}'}, "JSON object with a name"),
        ({"recipe": '{"name": "r", "lr": NaN}'}, "no JSON"),
        ({"recipe": '{"name": "r\\u0000"}'}, "cannot be stored"),
        ({"recipe": '{"name": "r", "lr": 1e999}'}, "not finite"),
        ({"recipe": '{"name": "r", "a": ' + "[" * 9 + "]" * 9 + "}"}, "nested at most"),
        ({"recipe": "[" * 50_000}, "no JSON"),
        ({"recipe": json.dumps({"name": "r" * 20_000})}, "at most 16384 bytes"),
        ({"metrics": '{"mean_iou": "high"}'}, "is no number"),
        ({"metrics": '{"mean_iou": true}'}, "is no number"),
        ({"metrics": '{"mean_iou": 1e999}'}, "not finite"),
        ({"metrics": '{"0": 1}'}, "no name of a metric"),
        ({"metrics": "[1]"}, "JSON object of numbers"),
        ({"metrics": json.dumps({f"m{i}": i for i in range(101)})}, "at most 100"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_stored(
    parent: ModelVersion, monkeypatch: pytest.MonkeyPatch, change: dict[str, str], said: str
) -> None:
    from inference_core.contract.build import InspectionReport
    from server.registry.services import models

    # The child says what was sent; the inspection has tests of its own.
    report = InspectionReport(
        sha256="0" * 64, size_bytes=1, opset=17, producer="", parameters=0, operators={},
        inputs=(), outputs=(),
    )  # fmt: skip
    monkeypatch.setattr(models, "inspect_model", lambda *_: report)
    monkeypatch.setattr(models, "_spool", lambda *_: "0" * 64)
    version_row(model_row("marks", "text_recognition"), "1.0.0")

    answer = send(**change)
    assert answer.status_code == 422, answer.content
    assert said in answer.json()["detail"]
    assert ModelVersion.objects.count() == 2


def test_versions_are_found_by_their_figures_and_descent(model: VisionModel) -> None:
    trained = dataset_row("more-boards", "training")
    for number, figure in enumerate((0.5, 0.8, 0.9)):
        version_row(model, f"1.{number}.0", metrics={"mean_iou": figure, "mAP@0.5": figure})
    version_row(model, "2.0.0", trained_on=trained)
    client = client_of(Role.VIEWER)

    def ask(query: str) -> list[str]:
        answer = client.get(f"{VERSIONS}?{query}")
        assert answer.status_code == 200, answer.content
        return [row["version"] for row in answer.json()["results"]]

    assert ask("metric=mean_iou&at_least=0.8") == ["1.2.0", "1.1.0"]
    assert ask("at_least=0.85&metric=mAP@0.5") == ["1.2.0"]
    assert ask("metric=mean_iou") == ["1.2.0", "1.1.0", "1.0.0"]
    assert ask("metric=loss") == []
    assert ask("trained_on=more-boards/1") == ["2.0.0"]
    for wrong in ("at_least=0.8", "metric=0&at_least=1", "metric=x&at_least=much"):
        assert client.get(f"{VERSIONS}?{wrong}").status_code == 422, wrong


def test_a_line_is_read_from_both_ends(model: VisionModel) -> None:
    base = version_row(model_row("base"), "1.0.0")
    first = version_row(model, "1.0.0", parent=base)
    middle = version_row(model, "1.1.0", parent=first)
    left, right = (version_row(model, name, parent=middle) for name in ("1.2.0", "1.3.0"))
    version_row(model, "9.0.0")

    told = client_of(Role.VIEWER).get(f"{VERSIONS}/1.1.0/lineage").json()
    assert [(n["model"], n["version"]) for n in told["ancestors"]] == [
        ("base", "1.0.0"),
        (MODEL, "1.0.0"),
    ]
    assert [n["version"] for n in told["descendants"]] == [left.version, right.version]
    assert told["version"]["parent"] == {"model": MODEL, "version": "1.0.0"}
    assert told["is_cut"] is False


def test_a_long_line_costs_no_more_and_is_cut(model: VisionModel) -> None:
    row = top = version_row(model, "v0")
    for number in range(30):
        row = version_row(model, f"v{number + 1}", parent=row)
    with CaptureQueriesContext(connection) as queries:
        assert len(lineage_of(row).ancestors) == 30
    assert len(queries) == 3
    for number in range(MAX_NODES):
        version_row(model, f"w{number}", parent=top)
    found = lineage_of(top)
    assert (len(found.descendants), found.is_cut) == (MAX_NODES, True)
