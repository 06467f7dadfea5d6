"""From the last byte to a version or a dataset; from a dead worker to another attempt."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

import pytest
from pytest_django import DjangoCaptureOnCommitCallbacks
from rest_framework.test import APIClient

from server.accounts.models import AuditEntry
from server.comparisons.dispatch import COMPARE
from server.config.celery import app
from server.datasets.models import DatasetVersion, Purpose
from server.lib import clock
from server.lib.errors import Conflict, Unavailable
from server.registry.models import ModelVersion
from server.uploads import kinds
from server.uploads.dispatch import INSPECT
from server.uploads.models import Upload, UploadPart
from server.uploads.services import finishing, inspect_upload, sweep_uploads
from tests.server.archives import board_files, pack
from tests.server.catalogue import MODEL, onnx_bytes
from tests.server.uploads.sending import API, TUS, begin, begun, send

pytestmark = pytest.mark.django_db


def whole(client: APIClient, content: bytes | None = None, **changes: Any) -> Upload:
    content = onnx_bytes() if content is None else content
    at = begun(client, len(content), **changes)
    assert send(client, at, 0, content).status_code == 204
    return Upload.objects.get(pk=at.rsplit("/", 1)[1])


def seen(client: APIClient, upload: Upload) -> dict[str, Any]:
    body: dict[str, Any] = client.get(f"{API}/{upload.pk}").json()
    return body


def test_a_model_becomes_a_version_and_its_parts_go(
    releaser: APIClient,
    own_blobs: Any,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    upload = whole(releaser, notes="By night.", sha256=hashlib.sha256(onnx_bytes()).hexdigest())
    assert seen(releaser, upload)["state"] == "received"
    with django_capture_on_commit_callbacks(execute=True):
        inspect_upload(upload_id=upload.pk)
    inspect_upload(upload_id=upload.pk)  # a message may come twice
    shown = seen(releaser, upload)
    assert (shown["state"], shown["problem"]) == ("done", None)
    assert releaser.get(f"/api/v1/{shown['result']}").json()["notes"] == "By night."
    version = ModelVersion.objects.get()
    assert version.created_by == "user:one-releaser"
    assert not UploadPart.objects.exists()
    assert not list((own_blobs / "uploads").glob("*"))
    assert AuditEntry.objects.filter(subject="upload").count() == 2


def test_where_a_version_comes_from_is_told_by_this_door_too(releaser: APIClient) -> None:
    golden = DatasetVersion.objects.filter(purpose=Purpose.GOLDEN).first()
    assert golden is not None
    told = {"metrics": '{"mean_iou": 0.8}', "recipe": '{"name": "unet"}'}
    unknown = begin(releaser, parent="9.9.9", **told)
    assert unknown.status_code == 422
    assert "9.9.9" in unknown.json()["detail"]
    first = whole(releaser, trained_on=f"{golden.name}/{golden.version}", **told)
    inspect_upload(upload_id=first.pk)
    version = ModelVersion.objects.get()
    assert (version.metrics, version.recipe["name"]) == ({"mean_iou": 0.8}, "unet")
    assert version.trained_on == golden
    assert begin(releaser, version="1.1.0", parent="1.0.0").status_code == 201


def test_without_a_manifest_the_file_is_asked_what_it_is(releaser: APIClient) -> None:
    upload = whole(releaser, manifest="")
    inspect_upload(upload_id=upload.pk)
    shown = seen(releaser, upload)
    assert shown["state"] == "refused"
    assert "manifest" in shown["problem"]["detail"]


def test_a_zip_becomes_a_dataset(releaser: APIClient) -> None:
    content = pack(board_files(range(20, 23))).getvalue()
    form = {"kind": "dataset", "name": "night", "version": "1", "purpose": "training"}
    upload = whole(releaser, content, **form)
    inspect_upload(upload_id=upload.pk)
    assert seen(releaser, upload)["result"] == "datasets/night/1"
    assert DatasetVersion.objects.get(name="night").image_count == 3


def test_what_is_no_model_is_refused_with_the_inspections_words(releaser: APIClient) -> None:
    upload = whole(releaser, b"this is no ONNX at all")
    inspect_upload(upload_id=upload.pk)
    shown = seen(releaser, upload)
    assert shown["state"] == "refused"
    assert shown["problem"]["status"] == 422
    assert shown["problem"]["inspection"] == "not_onnx"
    assert not ModelVersion.objects.exists()
    assert not UploadPart.objects.exists()


def test_another_file_than_was_promised_is_refused(releaser: APIClient) -> None:
    upload = whole(releaser, sha256="0" * 64)
    inspect_upload(upload_id=upload.pk)
    assert "announced" in seen(releaser, upload)["problem"]["detail"]
    assert not ModelVersion.objects.exists()


def test_a_version_that_is_there_by_then_is_refused_and_not_replaced(releaser: APIClient) -> None:
    first, second = whole(releaser), whole(releaser, onnx_bytes(8))
    inspect_upload(upload_id=first.pk)
    inspect_upload(upload_id=second.pk)
    assert seen(releaser, second)["problem"]["code"] == "conflict"
    assert ModelVersion.objects.get().sha256 == hashlib.sha256(onnx_bytes()).hexdigest()
    assert begin(releaser).status_code == 409


def test_one_is_inspected_at_a_time_and_the_schedule_keeps_its_thread(
    releaser: APIClient, sent: list[object]
) -> None:
    first, second = whole(releaser), whole(releaser, version="2")
    finishing._lease(first.pk)
    inspect_upload(upload_id=second.pk)
    assert seen(releaser, second)["state"] == "received"
    sweep_uploads()
    sweep_uploads()
    assert sent == [str(second.pk)], "once, until somebody had it in hand"
    inspect_upload(upload_id=second.pk)
    sweep_uploads()
    assert sent == [str(second.pk)] * 2


def test_messages_name_tasks_that_workers_know() -> None:
    app.loader.import_default_modules()
    assert {INSPECT, COMPARE} <= set(app.tasks)


def test_a_worker_that_dies_is_followed_by_another(
    releaser: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = whole(releaser)
    dead = finishing._lease(upload.pk)
    assert dead is not None
    now = clock.now() + timedelta(seconds=finishing.LEASE_S + 1)
    monkeypatch.setattr(clock, "now", lambda: now)
    sweep_uploads()
    inspect_upload(upload_id=upload.pk)
    assert seen(releaser, upload)["state"] == "done"
    with pytest.raises(Conflict, match="was lost"):
        finishing._refuse(dead, Unavailable("It comes too late."))
    assert seen(releaser, upload)["state"] == "done"


def test_a_worker_that_died_after_its_work_was_done_is_believed(releaser: APIClient) -> None:
    upload = whole(releaser)
    dead = finishing._lease(upload.pk)
    assert dead is not None
    finishing._hand_over(dead)
    finishing.return_upload(dead, "killed")
    inspect_upload(upload_id=upload.pk)
    assert seen(releaser, upload)["result"] == f"models/{MODEL}/versions/1.0.0"


def test_what_cannot_be_inspected_is_given_up_after_three_attempts(
    releaser: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise Unavailable("not now")

    real = kinds.KINDS["model_version"]
    broken = kinds.Kind(real.form, real.max_bytes, real.refuse_early, away, real.find)
    monkeypatch.setitem(kinds.KINDS, "model_version", broken)
    upload = whole(releaser)
    for state in ("received", "received", "refused"):
        inspect_upload(upload_id=upload.pk)
        assert seen(releaser, upload)["state"] == state
    assert "3 attempts" in seen(releaser, upload)["problem"]["detail"]


def test_an_abandoned_upload_is_given_up_with_its_bytes(
    releaser: APIClient, own_blobs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = begun(releaser)
    send(releaser, at, 0, b"abc")
    begun(releaser, version="2")
    later = clock.now() + timedelta(hours=23)
    monkeypatch.setattr(clock, "now", lambda: later)
    send(releaser, at, 3, b"d")
    latest = later + timedelta(hours=2)
    monkeypatch.setattr(clock, "now", lambda: latest)
    sweep_uploads()
    assert {row.form["version"]: row.state for row in Upload.objects.all()} == {
        "1.0.0": "receiving",
        "2": "expired",
    }
    ended = latest + timedelta(days=2)
    monkeypatch.setattr(clock, "now", lambda: ended)
    sweep_uploads()
    assert not list((own_blobs / "uploads").glob("*"))
    assert send(releaser, at, 4, b"e").status_code == 410
    forgotten = ended + timedelta(days=31)
    monkeypatch.setattr(clock, "now", lambda: forgotten)
    sweep_uploads()
    assert not Upload.objects.exists()
    assert releaser.head(at, headers=TUS).status_code == 404


def test_an_upload_is_found_again_by_its_mark(releaser: APIClient) -> None:
    begun(releaser, fingerprint="model.onnx:12:99", version="2")
    begun(releaser, fingerprint="another")
    found = releaser.get(f"{API}?fingerprint=model.onnx:12:99&state=receiving").json()["results"]
    assert [row["form"]["version"] for row in found] == ["2"]
