"""Versions out of MLflow. With ``LINEWARDEN_TEST_MLFLOW`` the good days run against a real one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import onnx
import pytest
from django.core.management import CommandError, call_command
from pydantic import SecretStr

from server.accounts.models import AuditEntry, Role
from server.lib import blobs, clock
from server.lib.errors import Conflict, Invalid
from server.registry import importing, services
from server.registry.mlflow import download, transport
from server.registry.models import Alias, AliasMove, ModelImport, ModelVersion, VisionModel
from server.registry.services import imports
from tests.server.catalogue import ACTOR, MODEL, client_of, manifest_json
from tests.server.registry.mlflow.server import Simulator, running
from tests.server.rows import model_row, version_row

pytestmark = pytest.mark.django_db
API = "/api/v1/imports"
WEIGHTS = "b270c796-eb72-11f1-9e68-02fc00000001.data"
OWN = {"manifest": manifest_json()}


@pytest.fixture
def mlflow(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    monkeypatch.setattr(transport, "PAUSES_S", (0.0, 0.0))
    # A break between two chunks of a small file.
    monkeypatch.setattr(download, "CHUNK_BYTES", 100)
    # The worker is the test itself.
    monkeypatch.setattr(imports, "send_import", lambda _: None)
    with running() as simulator:
        address = os.environ.get("LINEWARDEN_TEST_MLFLOW", simulator.url)
        changes = {"mlflow_url": address, "data": tmp_path / "data"}
        settings.ENV = settings.ENV.model_copy(update=changes)
        yield simulator


@pytest.fixture
def model(db: None) -> VisionModel:
    return model_row()


@pytest.fixture
def version(model: VisionModel) -> ModelVersion:
    return version_row(model)


def ask(model: VisionModel, number: str = "1", **wanted: Any) -> ModelImport:
    return services.request_import(
        model=model,
        version=f"mlflow-{number.lstrip('@')}",
        foreign_name="board-defects",
        foreign_version=number,
        actor=ACTOR,
        wanted=wanted,
    )


def bring(model: VisionModel, number: str = "1", **wanted: Any) -> ModelImport:
    row = ask(model, number, **wanted)
    importing.run_import(row.pk)
    row.refresh_from_db()
    return row


def refused(model: VisionModel, number: str = "1", **wanted: Any) -> str:
    row = bring(model, number, **wanted)
    assert row.state == "failed"
    assert not model.versions.exists()
    return row.reason


def test_a_version_comes_with_all_that_mlflow_knows_of_it(
    mlflow: Simulator, model: VisionModel
) -> None:
    row = bring(model, "@champion")

    assert (row.state, row.step, row.reason) == ("succeeded", "done", "")
    version = ModelVersion.objects.get()
    assert (row.version, version.version) == (version, "mlflow-champion")
    assert version.metrics == {"mean_iou": 0.86, "loss": 0.2}
    assert version.recipe is not None
    assert version.recipe["params"] == {"epochs": "3", "lr": "0.01"}
    assert version.source is not None
    assert (version.source["version"], version.source["aliases"]) == ("2", ["champion"])
    assert version.source["tags"] == {"stage": "proven", "licence": "Apache-2.0"}
    assert version.manifest.licence == "Apache-2.0"  # of the tag linewarden.manifest
    assert row.bytes_done == row.bytes_total == 3681


def test_weights_that_lie_beside_the_model_are_brought_into_it(
    mlflow: Simulator, model: VisionModel
) -> None:
    bring(model, "1", **OWN)

    whole = onnx.load_from_string(blobs.read(ModelVersion.objects.get().sha256))
    assert whole.graph.initializer
    assert all(not tensor.external_data for tensor in whole.graph.initializer)
    assert not list((Path(str(importing._root()))).iterdir())


def test_the_command_brings_all_versions_and_leaves_those_that_are_here(
    mlflow: Simulator, model: VisionModel
) -> None:
    out = StringIO()
    call_command("import_mlflow", MODEL, "board-defects", "--number", "2", stdout=out)
    assert out.getvalue() == "mlflow-2: succeeded.\n"
    # The first and the third have no manifest, and nothing in the file that would make one.
    with pytest.raises(CommandError, match="2 of 3 did not come: 1, 3"):
        call_command("import_mlflow", MODEL, "board-defects", "--all", stdout=out)
    assert "mlflow-2: is here already" in out.getvalue()


def test_aliases_are_taken_along_only_where_they_name_nothing_here(
    mlflow: Simulator, model: VisionModel, version: ModelVersion
) -> None:
    bring(model, "2", with_aliases=True)
    assert Alias.objects.get().version == ModelVersion.objects.get(version="mlflow-2")
    assert AliasMove.objects.get().reason == "Imported with board-defects 2 from MLflow."


def test_an_alias_that_is_set_here_is_left(
    mlflow: Simulator, model: VisionModel, version: ModelVersion
) -> None:
    services.move_alias(
        model=model, name="champion", version=version, expected=None, actor=ACTOR, reason="first"
    )
    row = bring(model, "2", with_aliases=True)
    assert row.reason == "Aliases that name another version here were left: champion."
    assert Alias.objects.get().version == version


def test_a_download_that_broke_off_goes_on_where_it_was(
    mlflow: Simulator, model: VisionModel
) -> None:
    mlflow.break_after["/model.onnx"] = 700

    assert bring(model, "2").state == "succeeded"
    wanted = [part for path, part in mlflow.asked if path.endswith("/model.onnx")]
    assert wanted == ["", "bytes=700-"]


@pytest.mark.parametrize("change", ["no ranges", "another file"])
def test_it_begins_anew_where_the_rest_may_not_belong_to_what_came(
    mlflow: Simulator, model: VisionModel, change: str
) -> None:
    mlflow.break_after["/model.onnx"] = 700
    mlflow.ranges = change != "no ranges"
    if change == "another file":
        mlflow.changes_after_break = True

    assert bring(model, "2").state == "succeeded"


def test_another_try_goes_on_with_what_the_last_one_left(
    mlflow: Simulator, model: VisionModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow.break_after["/model.onnx"] = 700
    with monkeypatch.context() as patch:
        patch.setattr(transport, "PAUSES_S", ())
        assert "away" in refused(model, "2")

    assert bring(model, "2").state == "succeeded"
    assert ("bytes=700-") in [part for _, part in mlflow.asked]


def test_a_server_that_is_busy_for_a_moment_is_asked_again(
    mlflow: Simulator, model: VisionModel
) -> None:
    mlflow.fail["version=2"] = 2

    assert bring(model, "2").state == "succeeded"


def test_a_server_that_stays_away_is_told_of(mlflow: Simulator, model: VisionModel) -> None:
    mlflow.fail["version=2"] = 9

    assert refused(model, "2").startswith("The MLflow server is away: it answers 503.")


def test_the_token_goes_to_the_server_and_its_want_is_told(
    mlflow: Simulator, model: VisionModel, settings: Any
) -> None:
    mlflow.token = "s3cret"
    assert "LINEWARDEN_MLFLOW_TOKEN" in refused(model, "2")
    settings.ENV = settings.ENV.model_copy(update={"mlflow_token": SecretStr("s3cret")})
    assert bring(model, "2").state == "succeeded"


def test_nobody_is_followed_elsewhere(mlflow: Simulator, model: VisionModel) -> None:
    mlflow.redirects = "http://169.254.169.254/latest/meta-data"

    assert "LINEWARDEN_MLFLOW_URL" in refused(model, "2")


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("s3://bucket/model", "--serve-artifacts"),
        ("file:///etc", "--serve-artifacts"),
        ("mlflow-artifacts:/1/../../etc", "no path of a file"),
        ("", "--serve-artifacts"),
    ],
)
def test_files_that_the_server_does_not_hand_out_are_not_fetched(
    mlflow: Simulator, model: VisionModel, uri: str, said: str
) -> None:
    mlflow.body("get-download-uri?name=board-defects&version=2")["json"] = {"artifact_uri": uri}

    assert said in refused(model, "2")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"flavors: {sklearn: {data: model.pkl}}", "flavours sklearn, not onnx"),
        (b"!!python/object/apply:os.system ['true']", "cannot be read"),
        (b"[" * 100_000, "cannot be read"),
        (b"flavors: {onnx: {data: ../../secret}}", "lack the model"),
        (b"\xff\xfe", "cannot be read"),
    ],
)
def test_a_model_that_is_no_onnx_is_told_so(
    mlflow: Simulator, model: VisionModel, text: bytes, said: str
) -> None:
    folder = mlflow.body("get-download-uri?name=board-defects&version=2")["json"]["artifact_uri"]
    mlflow.set_file(f"{folder.removeprefix('mlflow-artifacts:/')}/MLmodel", text)

    assert said in refused(model, "2")


def test_weights_that_are_cut_short_are_no_version(mlflow: Simulator, model: VisionModel) -> None:
    mlflow.set_file(f"/{WEIGHTS}", mlflow.file(f"/{WEIGHTS}")[:-8])

    assert "cut short" in refused(model, "1", **OWN)


def test_what_is_larger_than_is_taken_is_not_fetched(
    mlflow: Simulator, model: VisionModel, settings: Any
) -> None:
    settings.ENV = settings.ENV.model_copy(update={"max_model_bytes": 1000})

    assert "at most 1000" in refused(model, "2")
    assert not [path for path, _ in mlflow.asked if path.endswith("/model.onnx")]


def test_what_the_file_does_not_say_is_asked_for(mlflow: Simulator, model: VisionModel) -> None:
    assert "came without a manifest" in refused(model, "1")


def test_a_version_that_is_not_there_is_named(mlflow: Simulator, model: VisionModel) -> None:
    assert "version=9" in refused(model, "9")
    assert "nobody" in refused(model, "@nobody")


def test_an_import_whose_worker_died_is_taken_up_three_times(
    mlflow: Simulator, model: VisionModel
) -> None:
    row = ask(model, "2")
    for _ in range(3):
        assert imports.lease_import(import_id=row.pk, owner="gone") is not None
        assert imports.lease_import(import_id=row.pk, owner="second") is None
        ModelImport.objects.update(lease_expires_at=clock.now())
        assert imports.expire_imports() == 1
    row.refresh_from_db()
    assert (row.state, row.attempts) == ("failed", 3)


def test_a_worker_that_dies_after_it_stored_the_version_leaves_it_to_the_next(
    mlflow: Simulator, model: VisionModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(**_: object) -> None:
        raise KeyboardInterrupt

    row = ask(model, "2")
    with monkeypatch.context() as patch:
        patch.setattr(imports, "finish_import", die)
        with pytest.raises(KeyboardInterrupt):
            importing.run_import(row.pk)
    ModelImport.objects.update(lease_expires_at=clock.now())
    imports.expire_imports()
    importing.run_import(row.pk)

    row.refresh_from_db()
    assert (row.state, row.attempts, row.version) == ("succeeded", 2, model.versions.get())


def test_a_worker_that_was_thought_dead_cannot_end_what_another_one_has(
    mlflow: Simulator, model: VisionModel
) -> None:
    row = ask(model, "2")
    late = imports.lease_import(import_id=row.pk, owner="late")
    assert late is not None
    ModelImport.objects.update(lease_expires_at=clock.now())
    imports.expire_imports()
    imports.lease_import(import_id=row.pk, owner="next")

    with pytest.raises(Conflict, match="was lost"):
        imports.fail_import(row=late, why="It came too late.")

    row.refresh_from_db()
    assert (row.state, row.lease_owner, row.reason) == ("running", "next", "")


def test_one_import_runs_at_a_time(mlflow: Simulator, model: VisionModel) -> None:
    first, second = ask(model, "1"), ask(model, "2")
    assert imports.lease_import(import_id=first.pk, owner="a") is not None
    assert imports.lease_import(import_id=second.pk, owner="b") is None
    with pytest.raises(Conflict, match="on its way"):
        ask(model, "2")


def test_the_api_takes_an_import_and_shows_how_far_it_is(
    mlflow: Simulator, model: VisionModel
) -> None:
    releaser, viewer = client_of(Role.RELEASER), client_of(Role.VIEWER)
    body = {"model": MODEL, "version": "2.0.0", "name": "board-defects", "number": "2"}
    assert viewer.post(API, body).status_code == 403
    assert releaser.post(API, {**body, "address": "http://evil.example"}).status_code == 422
    answer = releaser.post(API, body)
    assert answer.status_code == 202
    assert AuditEntry.objects.filter(action="import").count() == 1
    importing.run_import(answer.json()["id"])
    told = viewer.get(f"{API}/{answer.json()['id']}").json()
    assert (told["state"], told["share"]) == ("succeeded", 1.0)
    assert len(viewer.get(f"{API}?model={MODEL}&state=succeeded").json()["results"]) == 1
    assert releaser.post(API, body).status_code == 409


@pytest.mark.parametrize(
    "change",
    [
        {"number": "1/../2"},
        {"number": ""},
        {"model": "nothing"},
        {"parent": "0.0.1"},
        {"trained_on": "boards/9"},
        {"version": "Not a name"},
    ],
)
def test_an_import_that_cannot_be_is_refused_at_once(
    mlflow: Simulator, model: VisionModel, change: dict[str, str]
) -> None:
    body = {"model": MODEL, "version": "2.0.0", "name": "board-defects", "number": "2"}

    assert client_of(Role.RELEASER).post(API, body | change).status_code == 422
    assert not ModelImport.objects.exists()


def test_without_a_server_there_are_no_imports(model: VisionModel) -> None:
    body = {"model": MODEL, "version": "2.0.0", "name": "board-defects", "number": "2"}
    answer = client_of(Role.RELEASER).post(API, body)

    assert answer.status_code == 422
    assert "LINEWARDEN_MLFLOW_URL" in answer.json()["detail"]
    with pytest.raises(Invalid):
        transport.connect()


def test_the_same_bytes_twice_are_told_as_what_is_here(
    mlflow: Simulator, model: VisionModel
) -> None:
    bring(model, "2")
    row = bring(model, "@champion")
    assert row.state == "failed"
    assert "there already, as board-defects mlflow-2" in row.reason
