"""A batch over HTTP: stored, acknowledged, and nothing lost on the way."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import RequestFactory

from server.device_gateway.views import telemetry
from server.telemetry.models import QuarantinedRecord, TelemetryRecord
from tests.server.box import Box

pytestmark = pytest.mark.django_db


def batch(box: Box, *seqs: int) -> dict[str, Any]:
    records = [
        {
            "seq": seq,
            "captured_at": "2026-11-22T10:00:00Z",
            "body": {"kind": "event", "name": "started", "detail": str(seq)},
        }
        for seq in seqs
    ]
    return {"boot_id": str(box.boot_id), "records": records}


def test_a_batch_is_stored_and_acknowledged(box: Box) -> None:
    answer = box.send_telemetry(batch(box, 1, 2, 3))
    assert (answer.status_code, answer.json()) == (200, {"acked_seq": 3})
    assert TelemetryRecord.objects.count() == 3


def test_a_hole_is_a_conflict_that_names_the_last_stored_record(box: Box) -> None:
    box.send_telemetry(batch(box, 1))
    answer = box.send_telemetry(batch(box, 3))
    assert answer.status_code == 409
    assert answer.json()["acked_seq"] == 1
    assert TelemetryRecord.objects.count() == 1


def test_a_poison_record_is_set_aside_and_the_rest_flows(box: Box) -> None:
    body = batch(box, 1, 2, 3)
    body["records"][1]["body"] = {"kind": "prophecy", "text": "rain"}
    assert box.send_telemetry(body).json() == {"acked_seq": 3}
    assert TelemetryRecord.objects.count() == 2
    poison = QuarantinedRecord.objects.get()
    assert poison.seq == 2
    assert json.loads(poison.raw) == body["records"][1]
    assert "prophecy" in poison.problem


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"[" * 500_000, "application/json", 400),
        (b'{"a":' * 100_000, "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b"[]", "application/json", 422),
        (b"{}", "application/json", 422),
        (b"x" * (1024 * 1024 + 1), "application/json", 413),
        (b"{}", "application/x-www-form-urlencoded", 415),
    ],
)
def test_hostile_bodies_get_a_clear_answer(
    box: Box, body: bytes, content_type: str, status: int
) -> None:
    answer = box.post("telemetry", body, content_type)
    assert answer.status_code == status
    assert answer.json()["status"] == status


def test_a_body_that_was_cut_short_may_come_again(box: Box) -> None:
    body = json.dumps(batch(box, 1)).encode()
    request = RequestFactory().post(
        "/device/v1/telemetry",
        body,
        content_type="application/json",
        headers={"Authorization": f"Bearer {box.token}"},
    )
    request._stream.read(20)  # what broke off on the way
    answer = telemetry(request)
    assert answer.status_code == 503
    assert answer["Retry-After"]


def test_a_compressed_body_is_refused_by_name(box: Box) -> None:
    answer = box.client.post(
        "/device/v1/telemetry",
        b"\x1f\x8b",
        content_type="application/json",
        headers={"Authorization": f"Bearer {box.token}", "Content-Encoding": "gzip"},
    )
    assert answer.status_code == 415
