"""The fleet over the API: everybody sees their own sites, and strangers see nothing."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from inference_core.contract.build import TensorRtProfile
from server.accounts.models import AuditEntry, Role
from server.fleet.enrolment import issue_enrolment_token
from server.fleet.keys import fingerprint
from server.fleet.models import (
    Device,
    EnrolmentToken,
    HardwareProfile,
    Line,
    Membership,
    Presence,
)
from server.fleet.selectors import config_of
from server.fleet.services import create_group, seed_profiles
from server.lib import clock
from server.lib.models import OutboxMessage, StateEvent
from tests.server.box import Box, make_box

pytestmark = pytest.mark.django_db

Somebody = Callable[..., APIClient]
SINKS = ["mqtt://line@broker/top?secret=mqtt", "jsonl:///verdicts.jsonl"]
CAMERA = {"name": "top", "address": "file:///pictures", "frames_per_s": 2.0, "mm_per_px": 0.1}


def test_an_admin_builds_a_place_from_nothing(somebody: Somebody) -> None:
    admin = somebody(Role.ADMIN)
    site = admin.post("/api/v1/sites", {"name": "works", "title": "Works"})
    line = admin.post("/api/v1/lines", {"site": "works", "name": "front", "title": "Front"})
    group = admin.post("/api/v1/groups", {"name": "trial", "title": "Trial"})
    assert [site.status_code, line.status_code, group.status_code] == [201, 201, 201]
    assert admin.get("/api/v1/groups/trial").json()["device_count"] == 0
    assert admin.get("/api/v1/lines", {"site": "works"}).json()["results"] == [line.json()]


def test_a_taken_name_is_a_conflict(somebody: Somebody, line: Line) -> None:
    admin = somebody(Role.ADMIN)
    site = admin.post("/api/v1/sites", {"name": "works", "title": "Again"})
    again = admin.post("/api/v1/lines", {"site": "works", "name": "front", "title": "Again"})
    assert (site.status_code, again.status_code) == (409, 409)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "Not A Slug", "title": "x"},
        {"name": "works", "title": ""},
        {"name": "works", "titel": "x"},
        [],
        "works",
    ],
)
def test_a_wrong_body_names_what_is_wrong(somebody: Somebody, body: object) -> None:
    answer = somebody(Role.ADMIN).post("/api/v1/sites", body)
    assert answer.status_code == 422
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["errors"]


def test_sites_and_lines_outside_the_scope_are_not_seen(
    somebody: Somebody, line: Line, foreign_line: Line
) -> None:
    viewer = somebody(Role.VIEWER, "works")
    assert [s["name"] for s in viewer.get("/api/v1/sites").json()["results"]] == ["works"]
    assert [row["name"] for row in viewer.get("/api/v1/lines").json()["results"]] == ["front"]


def test_an_admin_of_one_site_makes_lines_there_only(
    somebody: Somebody, line: Line, foreign_line: Line
) -> None:
    admin = somebody(Role.ADMIN, "works")
    body = {"name": "new", "title": "New"}
    assert admin.post("/api/v1/lines", body | {"site": "works"}).status_code == 201
    assert admin.post("/api/v1/lines", body | {"site": "elsewhere"}).status_code == 404
    assert admin.post("/api/v1/sites", body).status_code == 403


def test_a_viewer_changes_nothing(somebody: Somebody, box: Box) -> None:
    viewer = somebody(Role.VIEWER)
    device = f"/api/v1/devices/{box.device_id}"
    answers = [
        viewer.post("/api/v1/sites", {"name": "new", "title": "New"}),
        viewer.post("/api/v1/groups", {"name": "new", "title": "New"}),
        viewer.post("/api/v1/enrolment-tokens", {"site": "works", "line": "front"}),
        viewer.patch(device, {"sample_every_s": 1}),
        *[viewer.post(f"{device}/{verb}", {"reason": "x"}) for verb in ("revoke", "quarantine")],
    ]
    assert {answer.status_code for answer in answers} == {403}
    assert viewer.get(device).json()["state"] == "accepted"


def test_somebody_without_a_role_sees_nothing(somebody: Somebody) -> None:
    nobody = somebody()
    for path in ("sites", "lines", "groups", "devices", "hardware-profiles"):
        assert nobody.get(f"/api/v1/{path}").status_code == 403


def test_an_enrolment_token_is_shown_once_and_works(somebody: Somebody, line: Line) -> None:
    seed_profiles()
    body = {"site": "works", "line": "front", "uses": 2, "preauthorised": True}
    answer = somebody(Role.ADMIN, "works").post("/api/v1/enrolment-tokens", body)
    assert answer.status_code == 201
    token = answer.json()["token"]
    assert token not in str(EnrolmentToken.objects.values())
    assert EnrolmentToken.objects.get().uses_left == 2


def test_only_an_admin_lets_devices_in_unseen(somebody: Somebody, line: Line) -> None:
    operator = somebody(Role.OPERATOR, "works")
    body = {"site": "works", "line": "front"}
    unseen = operator.post("/api/v1/enrolment-tokens", body | {"preauthorised": True})
    assert unseen.status_code == 403
    assert operator.post("/api/v1/enrolment-tokens", body).status_code == 201


@pytest.mark.parametrize(
    "change", [{"lifetime_s": 86_401}, {"lifetime_s": 0}, {"uses": 0}, {"uses": 10_001}]
)
def test_a_token_lives_a_day_at_most_and_has_counted_uses(
    somebody: Somebody, line: Line, change: dict[str, object]
) -> None:
    body = {"site": "works", "line": "front"} | change
    assert somebody(Role.ADMIN).post("/api/v1/enrolment-tokens", body).status_code == 422


def test_a_device_is_found_by_every_filter(somebody: Somebody, box: Box) -> None:
    box.poll(box.report(running_sha256="a" * 64))
    viewer = somebody(Role.VIEWER, "works")
    (device,) = viewer.get("/api/v1/devices").json()["results"]
    assert (device["serial"], device["presence"]) == ("box-1", "online")
    assert device["running_sha256"] == "a" * 64
    for name, right, wrong in (
        ("state", "accepted", "revoked"),
        ("site", "works", "elsewhere"),
        ("line", "front", "back"),
        ("profile", "x86-onnxruntime", "x86-openvino"),
        ("serial", "BOX", "crate"),
        ("presence", "online", "offline"),
    ):
        assert len(viewer.get("/api/v1/devices", {name: right}).json()["results"]) == 1
        assert viewer.get("/api/v1/devices", {name: wrong}).json()["results"] == []
    assert viewer.get("/api/v1/devices", {"state": "happy"}).status_code == 422


@pytest.mark.parametrize(("silence", "word"), [(0, "online"), (200, "stale"), (4000, "offline")])
def test_presence_follows_from_the_last_poll(
    somebody: Somebody, box: Box, silence: int, word: str
) -> None:
    box.poll()
    Presence.objects.update(last_seen_at=clock.now() - timedelta(seconds=silence))
    viewer = somebody(Role.VIEWER)
    assert viewer.get(f"/api/v1/devices/{box.device_id}").json()["presence"] == word
    assert len(viewer.get("/api/v1/devices", {"presence": word}).json()["results"]) == 1


def test_a_device_that_never_polled_is_offline(somebody: Somebody, box: Box) -> None:
    found = somebody(Role.VIEWER).get("/api/v1/devices", {"presence": "offline"}).json()["results"]
    assert [device["last_seen_at"] for device in found] == [None]


def test_it_refuses_another_sites_device(somebody: Somebody, box: Box, foreign_line: Line) -> None:
    stranger = somebody(Role.ADMIN, "elsewhere")
    create_group(name="trial", title="Trial", actor="test")
    device = f"/api/v1/devices/{box.device_id}"
    verbs = ("accept", "quarantine", "release", "revoke")
    answers = [
        stranger.get(device),
        stranger.patch(device, {"sample_every_s": 1}),
        *[stranger.post(f"{device}/{verb}", {"reason": "mine now"}) for verb in verbs],
        stranger.post("/api/v1/groups/trial/devices", {"devices": [str(box.device_id)]}),
        stranger.delete(f"/api/v1/groups/trial/devices/{box.device_id}"),
        stranger.post("/api/v1/enrolment-tokens", {"site": "works", "line": "front"}),
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert stranger.get("/api/v1/devices").json()["results"] == []
    assert box.device.state == "accepted"


def test_one_foreign_device_keeps_all_out_of_the_group(
    somebody: Somebody, box: Box, foreign_line: Line
) -> None:
    create_group(name="trial", title="Trial", actor="test")
    foreign = make_box(foreign_line, "foreign")
    operator = somebody(Role.OPERATOR, "works")
    body = {"devices": [str(box.device_id), str(foreign.device_id)]}
    assert operator.post("/api/v1/groups/trial/devices", body).status_code == 404
    assert not Membership.objects.exists()


def test_devices_join_and_leave_a_group(somebody: Somebody, box: Box) -> None:
    create_group(name="trial", title="Trial", actor="test")
    operator = somebody(Role.OPERATOR, "works")
    body = {"devices": [str(box.device_id)]}
    for _ in range(2):
        answer = operator.post("/api/v1/groups/trial/devices", body)
        assert (answer.status_code, answer.json()["device_count"]) == (200, 1)
    assert operator.get("/api/v1/devices", {"group": "trial"}).json()["results"]
    left = operator.delete(f"/api/v1/groups/trial/devices/{box.device_id}")
    assert left.status_code == 204
    assert operator.get("/api/v1/groups/trial").json()["device_count"] == 0


def test_a_group_counts_only_devices_that_the_caller_may_see(
    somebody: Somebody, box: Box, foreign_line: Line
) -> None:
    group = create_group(name="trial", title="Trial", actor="test")
    Membership.objects.create(group=group, device=box.device, joined_at=clock.now())
    viewer = somebody(Role.VIEWER, "elsewhere")
    assert viewer.get("/api/v1/groups/trial").json()["device_count"] == 0


def test_cameras_are_replaced_whole_and_the_device_is_told(somebody: Somebody, box: Box) -> None:
    operator = somebody(Role.OPERATOR, "works")
    device = f"/api/v1/devices/{box.device_id}"
    operator.patch(device, {"cameras": [CAMERA, CAMERA | {"name": "side"}]})
    answer = operator.patch(device, {"cameras": [CAMERA], "sample_every_s": 5.0})
    assert answer.status_code == 200
    assert answer.json()["cameras"] == [CAMERA | {"role": "main", "sinks": []}]
    assert answer.json()["sample_every_s"] == 5.0
    waiting = OutboxMessage.objects.filter(topic="goal_changed")
    assert waiting.last().payload == {"device_id": str(box.device_id)}


def test_two_cameras_of_one_name_are_refused(somebody: Somebody, box: Box) -> None:
    answer = somebody(Role.OPERATOR).patch(
        f"/api/v1/devices/{box.device_id}", {"cameras": [CAMERA, CAMERA]}
    )
    assert answer.status_code == 422
    assert box.device.cameras.count() == 0


def test_the_sinks_of_a_camera_are_kept_as_they_were_written(somebody: Somebody, box: Box) -> None:
    operator = somebody(Role.OPERATOR, "works")
    device = f"/api/v1/devices/{box.device_id}"
    answer = operator.patch(device, {"cameras": [CAMERA | {"sinks": SINKS}]})
    assert answer.status_code == 200
    assert answer.json()["cameras"][0]["sinks"] == SINKS
    assert config_of(box.device).cameras[0].sinks == tuple(SINKS)
    operator.patch(device, {"cameras": [CAMERA]})
    assert config_of(box.device).cameras[0].sinks == ()


@pytest.mark.parametrize(
    ("sinks", "reason"),
    [
        (["mqtt://host/t", "mqtt://line:hunter2@host/t"], "a password is in the address"),
        (["https://host/hook?token=hunter2"], "looks like a secret"),
        (["mqtt://host/t?secret_file=/hunter2"], "write secret=NAME"),
        (["mqtt://host/t?secret_env=hunter2"], "write secret=NAME"),
        (["mqtt://host/t?secret=../hunter2"], "name of a file in the device's folder"),
        (["mqtts://host/t?ca=/hunter2"], "name of a file in the device's folder"),
        (["jsonl:///../hunter2"], "the device's output folder"),
        (["overlay:////hunter2"], "the device's output folder"),
        (["ftp://host/hunter2"], "a sink starts with one of jsonl://"),
        (["jsonl:///f"] * 9, "at most 8 items"),
        ([f"jsonl:///{'f' * 1000}"], "at most 1000 characters"),
        ("jsonl:///f", "valid tuple"),
        ([7], "valid string"),
    ],
)
def test_a_wrong_sink_is_refused_with_what_to_do_and_is_not_repeated(
    somebody: Somebody, box: Box, sinks: object, reason: str
) -> None:
    body = {"cameras": [CAMERA | {"sinks": sinks}]}
    answer = somebody(Role.OPERATOR).patch(f"/api/v1/devices/{box.device_id}", body)
    assert answer.status_code == 422
    assert reason in answer.json()["errors"][0]["detail"]
    assert answer.json()["errors"][0]["path"].startswith("cameras.0.sinks")
    assert "hunter2" not in answer.content.decode()
    assert box.device.cameras.count() == 0


def test_a_mistyped_field_of_a_camera_is_refused(somebody: Somebody, box: Box) -> None:
    body = {"cameras": [CAMERA | {"sink": SINKS}]}
    answer = somebody(Role.OPERATOR).patch(f"/api/v1/devices/{box.device_id}", body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["path"] == "cameras.0.sink"


def test_no_stranger_and_no_viewer_sends_verdicts_elsewhere(
    somebody: Somebody, box: Box, foreign_line: Line
) -> None:
    device = f"/api/v1/devices/{box.device_id}"
    body = {"cameras": [CAMERA | {"sinks": SINKS}]}
    assert somebody(Role.VIEWER, "works").patch(device, body).status_code == 403
    assert somebody(Role.ADMIN, "elsewhere", "eve").patch(device, body).status_code == 404
    assert somebody(name="nobody").patch(device, body).status_code == 403
    assert box.device.cameras.count() == 0


def test_a_device_goes_through_its_states_with_a_trace(somebody: Somebody, line: Line) -> None:
    seed_profiles()
    box = make_box(line, is_preauthorised=False)
    admin = somebody(Role.ADMIN, "works")
    device = f"/api/v1/devices/{box.device_id}"
    for verb, state in (
        ("accept", "accepted"),
        ("quarantine", "quarantined"),
        ("release", "accepted"),
        ("revoke", "revoked"),
    ):
        answer = admin.post(f"{device}/{verb}", {"reason": f"to {verb}"})
        assert (answer.status_code, answer.json()["state"]) == (200, state)
    assert admin.post(f"{device}/accept", {}).status_code == 409
    events = StateEvent.objects.filter(subject_id=str(box.device_id))
    assert [event.new for event in events] == ["accepted", "quarantined", "accepted", "revoked"]
    actions = AuditEntry.objects.filter(subject="device", actor="token:ci of ada")
    assert set(actions.values_list("reason", flat=True)) == {
        f"to {verb}" for verb in ("accept", "quarantine", "release", "revoke")
    }


def test_cutting_off_takes_a_reason(somebody: Somebody, box: Box) -> None:
    admin = somebody(Role.ADMIN)
    for verb in ("quarantine", "revoke"):
        assert admin.post(f"/api/v1/devices/{box.device_id}/{verb}", {}).status_code == 422
    assert box.device.state == "accepted"


def test_a_key_that_came_meanwhile_is_not_accepted_unseen(
    somebody: Somebody, box: Box, line: Line
) -> None:
    admin = somebody(Role.ADMIN)
    address = f"/api/v1/devices/{box.device_id}"
    keys = [Box(), Box()]
    for new in keys:
        token = issue_enrolment_token(line=line, actor="test").token
        new.request_enrolment(token)
    seen = fingerprint(keys[0].public_key)
    assert admin.get(address).json()["new_key_fingerprint"] == fingerprint(keys[1].public_key)
    refused = admin.post(f"{address}/accept", {"key_fingerprint": seen})
    assert refused.status_code == 409
    accepted = admin.post(f"{address}/accept", {"key_fingerprint": fingerprint(keys[1].public_key)})
    assert accepted.json()["key_fingerprint"] == fingerprint(keys[1].public_key)
    assert accepted.json()["new_key_fingerprint"] == ""


def test_a_list_costs_the_same_queries_at_any_length(somebody: Somebody, box: Box) -> None:
    viewer = somebody(Role.VIEWER)

    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert viewer.get("/api/v1/devices").status_code == 200
        return len(queries)

    before, device = count(), box.device
    for index in range(30):
        device.pk, device.serial = uuid.uuid4(), f"clone-{index:02}"
        device.save(force_insert=True)
    assert count() == before
    assert Device.objects.count() == 31


def test_pages_follow_each_other_without_a_hole(somebody: Somebody, box: Box) -> None:
    device = box.device
    for index in range(7):
        device.pk, device.serial = uuid.uuid4(), f"clone-{index:02}"
        device.save(force_insert=True)
    viewer, found = somebody(Role.VIEWER), []
    page = viewer.get("/api/v1/devices", {"page_size": 3}).json()
    while True:
        found += [row["serial"] for row in page["results"]]
        if page["next"] is None:
            break
        page = viewer.get(page["next"]).json()
    assert found == ["box-1", *[f"clone-{index:02}" for index in range(7)]]


def test_a_processors_profile_is_bound_to_no_chip(somebody: Somebody) -> None:
    seed_profiles()
    found = somebody(Role.VIEWER).get("/api/v1/hardware-profiles/x86-onnxruntime").json()
    assert found["precisions"] == ["fp32", "int8"]
    assert (found["accelerator"], found["tensorrt"], found["requires"]) == ("", None, {})


def test_a_profile_says_what_chip_and_engine_it_is_for(somebody: Somebody) -> None:
    engine = {
        "version": "10.3.0",
        "compute_capabilities": ["8.7"],
        "batch": {"optimal": 4, "maximum": 8},
    }
    profile = HardwareProfile.objects.create(
        name="orin",
        title="Orin",
        runtime="tensorrt",
        architecture="aarch64",
        precisions=["fp16"],
        accelerator="some-chip",
        tensorrt=engine,
    )
    (shown,) = somebody(Role.VIEWER).get("/api/v1/hardware-profiles").json()["results"]
    assert (shown["accelerator"], shown["tensorrt"]) == ("some-chip", engine)
    assert profile.spec.accelerator == "some-chip"
    assert profile.spec.tensorrt == TensorRtProfile.model_validate(engine)


@pytest.mark.parametrize("name", ["%00", "a%00b", "x" * 300, "..", "%F0%9F%92%A9"])
def test_a_strange_name_is_not_found_and_no_crash(somebody: Somebody, name: str) -> None:
    answer = somebody(Role.ADMIN).get(f"/api/v1/groups/{name}")
    assert answer.status_code in {404, 422}


def test_an_id_beyond_all_numbers_is_not_found(somebody: Somebody) -> None:
    answer = somebody(Role.ADMIN).get(f"/api/v1/samples/{10**30}/image")
    assert answer.status_code in {404, 422}


def test_a_nul_in_a_title_is_refused(somebody: Somebody) -> None:
    body = {"name": "works", "title": "a\0b"}
    assert somebody(Role.ADMIN).post("/api/v1/sites", body).status_code == 422
