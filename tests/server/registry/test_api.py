from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.response import Response
from rest_framework.test import APIClient

from server.accounts.models import Role
from server.datasets.api import DatasetList
from server.registry.api import VersionList
from server.registry.models import ModelVersion, VisionModel
from tests.server.archives import board_files, pack
from tests.server.catalogue import MODEL, client_of, manifest_json, onnx_bytes, pipeline

pytestmark = pytest.mark.django_db
API = "/api/v1"


@pytest.fixture
def releaser(db: None) -> APIClient:
    return client_of(Role.RELEASER)


def send_set(client: APIClient, seeds: range, **changes: Any) -> Response:
    file = SimpleUploadedFile("set.zip", pack(board_files(seeds)).getvalue())
    form = {"name": "boards", "version": "1", "purpose": "golden", "file": file, **changes}
    return client.post(f"{API}/datasets", form, format="multipart")


def send_version(client: APIClient, **changes: Any) -> Response:
    form = {
        "version": "1.0.0",
        "manifest": manifest_json(),
        "file": SimpleUploadedFile("model.onnx", onnx_bytes()),
        **changes,
    }
    return client.post(f"{API}/models/{MODEL}/versions", form, format="multipart")


def assert_problem(response: Response, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    problem: dict[str, Any] = json.loads(response.content)
    assert problem["code"] == code
    assert problem["detail"]
    return problem


def test_from_pictures_to_a_release_over_the_api(releaser: APIClient) -> None:
    assert send_set(releaser, range(4)).status_code == 201
    assert send_set(releaser, range(4, 8), name="cal", purpose="calibration").status_code == 201
    body = {
        "name": MODEL,
        "task": "segmentation",
        "title": "Defects",
        "golden": {"name": "boards", "version": "1"},
        "calibration": {"name": "cal", "version": "1"},
    }
    assert releaser.post(f"{API}/models", body).json()["versions"] == []
    assert send_version(releaser).json()["report"]["operators"]["Relu"] == 1
    new = {"name": "r1", "pipeline": pipeline(), "versions": {MODEL: "1.0.0"}, "notes": "First."}
    assert releaser.post(f"{API}/releases", new).status_code == 201

    viewer = client_of(Role.VIEWER)
    assert viewer.get(f"{API}/datasets/boards/1").json()["image_count"] == 4
    assert viewer.get(f"{API}/models/{MODEL}").json()["versions"] == ["1.0.0"]
    assert viewer.get(f"{API}/models/{MODEL}/versions/1.0.0").json()["builds"] == []
    assert viewer.get(f"{API}/releases/r1").json()["versions"] == {MODEL: "1.0.0"}
    for path in ("datasets?purpose=golden", "models", f"models/{MODEL}/versions", "releases"):
        assert len(viewer.get(f"{API}/{path}").json()["results"]) == 1


def test_the_file_comes_back_as_it_was_sent(releaser: APIClient, version: ModelVersion) -> None:
    response = releaser.get(f"{API}/models/{MODEL}/versions/1.0.0/file")

    assert b"".join(response.streaming_content) == onnx_bytes()
    assert version.sha256 in response["ETag"]


@pytest.mark.parametrize("path", ["datasets", "models", "releases", f"models/{MODEL}/versions"])
def test_who_may_only_look_cannot_write(path: str) -> None:
    assert_problem(client_of(Role.VIEWER).post(f"{API}/{path}", {}), 403, "permission_denied")
    assert APIClient().get(f"{API}/{path}").status_code == 401


def test_what_is_not_there_is_a_404(releaser: APIClient) -> None:
    for path in ("datasets/a/1", "models/a", "models/a/versions", "models/a/versions/1",
                 "models/a/versions/1/file", "releases/a"):  # fmt: skip
        assert_problem(releaser.get(f"{API}/{path}"), 404, "not_found")


def test_a_bad_upload_says_what_to_mend(releaser: APIClient, model: VisionModel) -> None:
    file = SimpleUploadedFile("model.onnx", b"GIF89a")
    problem = assert_problem(send_version(releaser, file=file), 422, "invalid")
    assert problem["inspection"] == "not_onnx"

    problem = assert_problem(send_version(releaser, manifest="{}"), 422, "invalid")
    assert {"path": "task", "detail": "Field required"} in problem["errors"]

    assert send_version(releaser).status_code == 201
    assert_problem(send_version(releaser), 409, "conflict")


def test_a_request_that_announces_too_much_is_not_read(
    releaser: APIClient, model: VisionModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    for view in (VersionList, DatasetList):
        monkeypatch.setattr(view, "max_file_bytes", -(8 * 1024 * 1024))

    assert_problem(send_version(releaser), 413, "too_large")
    assert_problem(send_set(releaser, range(9, 11)), 413, "too_large")


def test_a_file_past_the_limit_is_refused(
    releaser: APIClient, model: VisionModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(VersionList, "max_file_bytes", 100)

    assert_problem(send_version(releaser), 413, "too_large")


@pytest.mark.parametrize("version", ["", "../1", "1/2", "UPPER", "a" * 51, ".1"])
def test_a_version_is_a_name_that_is_safe_everywhere(
    releaser: APIClient, model: VisionModel, version: str
) -> None:
    problem = assert_problem(send_version(releaser, version=version), 422, "invalid")
    assert "version" in problem["errors"]


def test_json_where_a_form_belongs_is_refused(releaser: APIClient, model: VisionModel) -> None:
    response = releaser.post(f"{API}/models/{MODEL}/versions", {"version": "1"}, format="json")

    assert response.status_code == 415


def test_a_model_of_a_set_that_is_not_there_is_refused(releaser: APIClient) -> None:
    ref = {"name": "nothing", "version": "1"}
    body = {"name": "m", "task": "segmentation", "title": "t", "golden": ref, "calibration": ref}

    assert_problem(releaser.post(f"{API}/models", body), 422, "invalid")


def test_lists_cost_the_same_for_many(
    releaser: APIClient, model: VisionModel, django_assert_max_num_queries: Any
) -> None:
    from tests.server.catalogue import model_version

    for number in range(5):
        model_version(model, f"1.0.{number}", seed=number)
    with django_assert_max_num_queries(4):
        assert len(releaser.get(f"{API}/models").json()["results"][0]["versions"]) == 5
    with django_assert_max_num_queries(4):
        assert len(releaser.get(f"{API}/models/{MODEL}/versions").json()["results"]) == 5
