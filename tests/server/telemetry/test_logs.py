"""Logs: asked for by an operator, sent once by the device that was asked, kept for two weeks."""

from __future__ import annotations

import hashlib
import io
import json
import uuid
import zipfile
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.http import HttpResponse
from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks
from rest_framework.test import APIClient

from device_agent.log_bundle import make_bundle
from inference_core.contract.device import Goal
from inference_core.contract.telemetry import MAX_LOGS_BYTES
from server.accounts.models import AuditEntry, Role
from server.fleet.models import Line
from server.fleet.services import quarantine_device
from server.lib import blobs, clock
from server.telemetry import logs
from server.telemetry.models import LogRequest
from tests.server.box import Box, make_box
from tests.server.threads import at_once

pytestmark = pytest.mark.django_db

Somebody = Callable[..., APIClient]


def bundle(text: str = "all is well", name: str = "agent.log") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        # Without an own time: two bundles of the same text are the same bytes.
        archive.writestr(zipfile.ZipInfo(name), text, zipfile.ZIP_DEFLATED)
    return file.getvalue()


def send(box: Box, request: object, content: bytes, **changes: Any) -> HttpResponse:
    meta = {"request": str(request), "sha256": hashlib.sha256(content).hexdigest()} | changes
    file = SimpleUploadedFile("logs.zip", content, "application/zip")
    form = {"meta": json.dumps(meta), "bundle": file}
    return box.client.post("/device/v1/logs", form, headers=box._headers())


def ask(box: Box) -> LogRequest:
    return logs.request_logs(device=box.device, actor="user:ada")[0]


def wanted_of(box: Box) -> uuid.UUID | None:
    return Goal.model_validate_json(box.poll().content).wanted_logs


def test_what_is_asked_for_is_in_the_goal_until_it_is_sent(
    somebody: Somebody,
    box: Box,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    operator = somebody(Role.OPERATOR, "works")
    assert wanted_of(box) is None
    with django_capture_on_commit_callbacks(execute=True):
        asked = operator.post(f"/api/v1/devices/{box.device_id}/logs")
    assert (asked.status_code, asked.json()["state"]) == (201, "waiting")
    assert str(wanted_of(box)) == asked.json()["id"]
    with django_capture_on_commit_callbacks(execute=True):
        assert send(box, asked.json()["id"], bundle()).status_code == 201
    assert wanted_of(box) is None
    (listed,) = operator.get(f"/api/v1/devices/{box.device_id}/logs").json()["results"]
    assert (listed["state"], listed["length"]) == ("received", len(bundle()))


def test_an_idle_poll_while_logs_are_wanted_costs_no_sql(
    box: Box, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    asked = ask(box)
    assert wanted_of(box) == asked.pk
    with django_assert_num_queries(0):
        assert wanted_of(box) == asked.pk


def test_the_bundle_is_saved_and_never_shown_and_the_download_is_audited(
    somebody: Somebody, box: Box
) -> None:
    asked = ask(box)
    send(box, asked.pk, bundle())
    answer = somebody(Role.OPERATOR, "works").get(
        f"/api/v1/logs/{asked.pk}/bundle", headers={"Accept": "text/html"}
    )
    assert b"".join(answer.streaming_content) == bundle()
    assert answer["Content-Type"] == "application/zip"
    assert answer["Content-Disposition"].startswith('attachment; filename="box-1-')
    assert answer["X-Content-Type-Options"] == "nosniff"
    entries = AuditEntry.objects.filter(action__endswith="_logs").order_by("pk")
    assert list(entries.values_list("action", "actor")) == [
        ("request_logs", "user:ada"),
        ("send_logs", "device:box-1"),
        ("download_logs", "token:ci of ada"),
    ]


def test_asking_again_while_it_waits_is_the_same_request(somebody: Somebody, box: Box) -> None:
    operator, path = somebody(Role.OPERATOR, "works"), f"/api/v1/devices/{box.device_id}/logs"
    first, second = operator.post(path), operator.post(path)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json()
    send(box, first.json()["id"], bundle())
    assert operator.post(path).status_code == 201


def test_viewers_see_the_list_and_other_sites_see_nothing(
    somebody: Somebody, box: Box, foreign_line: Line
) -> None:
    asked = ask(box)
    send(box, asked.pk, bundle())
    viewer = somebody(Role.VIEWER, "works", name="vera")
    stranger = somebody(Role.ADMIN, "elsewhere", name="otto")
    path = f"/api/v1/devices/{box.device_id}/logs"
    assert len(viewer.get(path).json()["results"]) == 1
    assert viewer.post(path).status_code == 403
    assert viewer.get(f"/api/v1/logs/{asked.pk}/bundle").status_code == 403
    for answer in (
        stranger.get(path),
        stranger.post(path),
        stranger.get(f"/api/v1/logs/{asked.pk}/bundle"),
    ):
        assert answer.status_code == 404
    assert not AuditEntry.objects.filter(action="download_logs").exists()


def test_a_viewer_who_operates_another_site_does_not_download_here(
    somebody: Somebody, box: Box, foreign_line: Line
) -> None:
    asked = ask(box)
    send(box, asked.pk, bundle())
    operator = somebody(Role.OPERATOR, "elsewhere")
    assert operator.get(f"/api/v1/logs/{asked.pk}/bundle").status_code == 404


def test_a_repeat_is_free_and_another_bundle_is_a_conflict(box: Box) -> None:
    asked = ask(box)
    answers = [send(box, asked.pk, content) for content in (bundle(), bundle(), bundle("other"))]
    assert [answer.status_code for answer in answers] == [201, 200, 409]
    asked.refresh_from_db()
    assert default_storage.open(asked.file_name).read() == bundle()


def test_logs_that_nobody_asked_for_are_refused(box: Box, line: Line) -> None:
    neighbour = make_box(line, "box-2")
    theirs = ask(neighbour)
    for request in (uuid.uuid4(), theirs.pk):
        answer = send(box, request, bundle())
        assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")
    assert LogRequest.objects.get().word == "waiting"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a zip",
        bundle()[:-4],
        bundle(name="../../etc/cron.d/evil"),
        bundle(name="/etc/passwd"),
        bundle("\0" * 70_000_000),
    ],
)
def test_what_is_no_small_zip_of_plain_files_is_refused(box: Box, content: bytes) -> None:
    asked = ask(box)
    assert send(box, asked.pk, content).status_code in (413, 422)
    asked.refresh_from_db()
    assert asked.word == "waiting"


def test_another_digest_a_giant_and_half_a_form_are_refused(box: Box) -> None:
    asked = ask(box)
    assert send(box, asked.pk, bundle(), sha256="0" * 64).status_code == 422
    assert send(box, asked.pk, b"\0" * (MAX_LOGS_BYTES + 1)).status_code == 413
    form = {"meta": json.dumps({"request": str(asked.pk), "sha256": "0" * 64})}
    answer = box.client.post("/device/v1/logs", form, headers=box._headers())
    assert (answer.status_code, box.post("logs", {}).status_code) == (422, 415)


def test_a_device_that_is_not_trusted_is_not_asked(somebody: Somebody, box: Box) -> None:
    quarantine_device(device=box.device, actor="test", reason="odd")
    answer = somebody(Role.ADMIN).post(f"/api/v1/devices/{box.device_id}/logs")
    assert (answer.status_code, LogRequest.objects.count()) == (409, 0)


def test_a_bundle_is_forgotten_after_two_weeks_and_not_before(somebody: Somebody, box: Box) -> None:
    asked = ask(box)
    send(box, asked.pk, bundle())
    asked.refresh_from_db()
    LogRequest.objects.update(received_at=clock.now() - logs.KEPT + timedelta(hours=1))
    assert logs.forget_logs() == 0
    LogRequest.objects.update(received_at=clock.now() - logs.KEPT - timedelta(hours=1))
    assert (logs.forget_logs(), logs.forget_logs()) == (1, 0)
    assert not default_storage.exists(asked.file_name)
    answer = somebody(Role.OPERATOR).get(f"/api/v1/logs/{asked.pk}/bundle")
    assert (answer.status_code, answer.json()["code"]) == (410, "gone")


def test_a_request_that_nobody_answers_ends(
    box: Box, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    asked = ask(box)
    assert wanted_of(box) == asked.pk
    LogRequest.objects.update(requested_at=clock.now() - logs.KEPT - timedelta(hours=1))
    with django_capture_on_commit_callbacks(execute=True):
        assert logs.forget_logs() == 1
    assert wanted_of(box) is None
    assert send(box, asked.pk, bundle()).status_code == 410


def test_forgetting_logs_never_takes_a_blob_of_the_same_bytes(box: Box) -> None:
    artifact = blobs.put_bytes(bundle())
    send(box, ask(box).pk, bundle())
    LogRequest.objects.update(received_at=clock.now() - logs.KEPT - timedelta(hours=1))
    assert logs.forget_logs() == 1
    assert blobs.read(artifact.sha256) == bundle()


@pytest.mark.django_db(transaction=True)
def test_two_people_who_ask_at_once_make_one_request(box: Box) -> None:
    device = box.device
    answers = at_once(*[lambda: logs.request_logs(device=device, actor="user:x")] * 2)
    assert sorted(is_new for _, is_new in answers) == [False, True]
    assert LogRequest.objects.count() == 1
    assert connection.is_usable()


def test_what_the_agent_packs_is_taken_also_of_a_library_that_repeats_itself(box: Box) -> None:
    packed = make_bundle(
        {"agent.log": "warning: late\n" * 100_000, "child.log": "", "facts.json": "{}"}
    )
    assert send(box, ask(box).pk, packed).status_code == 201
