"""Who becomes a device, and who does not."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from server.accounts.models import AuditEntry
from server.fleet.enrolment import issue_enrolment_token
from server.fleet.models import Device, EnrolmentToken, Group, HardwareProfile, Line
from server.fleet.services import accept_device, revoke_device, seed_profiles
from server.fleet.states import DeviceState
from server.lib import clock
from server.trust.services import ensure_repository
from tests.server.box import FACTS, Box

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _server_is_prepared(db: None) -> None:
    seed_profiles()
    ensure_repository()


@pytest.fixture
def token(line: Line) -> str:
    return issue_enrolment_token(line=line, is_preauthorised=True, actor="test").token


def test_a_preauthorised_box_is_accepted_and_gets_its_root_of_trust(token: str, line: Line) -> None:
    reply = Box().enrol(token)
    device = Device.objects.get(serial="box-1")
    assert reply["state"] == "accepted"
    assert reply["profile"] == "x86-onnxruntime"
    assert '"_type":"root"' in reply["tuf_root"].replace(" ", "")
    assert device.line == line
    assert device.facts["cpu_count"] == 4


def test_another_box_waits_for_an_admin(line: Line) -> None:
    issued = issue_enrolment_token(line=line, actor="test")
    assert Box().enrol(issued.token)["state"] == "pending"


def test_a_box_joins_the_group_of_its_token(line: Line) -> None:
    group = Group.objects.create(name="trial", title="Trial")
    issued = issue_enrolment_token(line=line, group=group, actor="test")
    Box().enrol(issued.token)
    assert [device.serial for device in group.devices.all()] == ["box-1"]


def test_unknown_used_and_expired_tokens_get_one_answer(line: Line, token: str) -> None:
    Box("first").enrol(token)
    expired = issue_enrolment_token(line=line, actor="test").token
    EnrolmentToken.objects.filter(uses_left=1).update(expires_at=clock.now() - timedelta(seconds=1))
    answers = [Box("next").request_enrolment(t) for t in (token, expired, "never-was-a-token")]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.content for answer in answers}) == 1
    assert answers[0]["Content-Type"] == "application/problem+json"
    assert answers[0]["WWW-Authenticate"].startswith("Bearer")


def test_the_same_key_again_gets_the_same_answer_and_uses_no_token(token: str) -> None:
    box = Box()
    first, second = box.enrol(token), box.enrol(token)
    assert first["device_id"] == second["device_id"]
    assert EnrolmentToken.objects.get().uses_left == 0


def test_a_serial_of_another_key_waits_and_the_old_key_lives(line: Line, token: str) -> None:
    old = Box()
    old.enrol(token)
    new = Box()
    again = issue_enrolment_token(line=line, is_preauthorised=True, actor="test").token
    for _ in range(2):
        answer = new.request_enrolment(again)
        assert answer.status_code == 409
        assert answer.json()["code"] == "pending"
    assert old.request_token().status_code == 200
    new.device_id = old.device_id
    refused = new.request_token()
    assert (refused.status_code, refused.json()["code"]) == (403, "pending")


def test_the_old_key_dies_when_the_new_one_is_accepted(line: Line, token: str) -> None:
    old = Box()
    old.enrol(token)
    old.log_in()
    assert old.poll().status_code == 200
    new = Box()
    new.request_enrolment(issue_enrolment_token(line=line, actor="test").token)
    accept_device(device=old.device, actor="user:ada")
    new.device_id = old.device_id
    new.log_in()
    assert new.poll().status_code == 200
    assert old.request_token().status_code == 401
    assert old.poll().status_code == 401


def test_a_revoked_serial_does_not_come_back(line: Line, token: str) -> None:
    box = Box()
    box.enrol(token)
    revoke_device(device=box.device, actor="user:ada", reason="stolen")
    answer = box.request_enrolment(token)
    assert (answer.status_code, answer.json()["reason"]) == (403, "revoked")


def test_an_unknown_profile_is_refused_with_those_that_fit(token: str) -> None:
    answer = Box().request_enrolment(token, profile="x86-fantasy")
    assert answer.status_code == 422
    assert answer.json()["suggested"] == ["x86-onnxruntime"]
    assert "x86-openvino" in answer.json()["detail"]
    assert EnrolmentToken.objects.get().uses_left == 1


@pytest.mark.parametrize("bound", [{"accelerator": "edgetpu"}, {"tensorrt": {"version": "10.3"}}])
def test_what_is_built_for_one_chip_is_taken_by_name_only(
    token: str, line: Line, bound: dict[str, object]
) -> None:
    HardwareProfile.objects.filter(name="x86-onnxruntime").update(**bound)
    answer = Box().request_enrolment(token, profile=None)
    assert answer.status_code == 422
    assert answer.json()["suggested"] == []
    reply = Box().enrol(token, profile="x86-onnxruntime")
    assert reply["profile"] == "x86-onnxruntime"


def test_a_profile_of_another_architecture_is_refused(token: str) -> None:
    facts = FACTS | {"architecture": "aarch64"}
    answer = Box().request_enrolment(token, facts=facts)
    assert answer.status_code == 422
    assert "x86_64" in answer.json()["detail"]


def test_without_a_profile_the_facts_decide(token: str) -> None:
    facts = FACTS | {"runtimes": {"onnxruntime": "1.32.0", "openvino": "2026.4"}}
    assert Box().enrol(token, profile=None, facts=facts)["profile"] == "x86-openvino"


def test_only_ed25519_keys_are_taken(token: str) -> None:
    rsa = generate_private_key(public_exponent=65537, key_size=2048).public_key()
    pem = rsa.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    for key in (pem, "no key at all"):
        answer = Box().request_enrolment(token, public_key=key)
        assert answer.status_code == 422
        assert "public_key" in answer.json()["detail"]


def test_enrolment_is_audited_with_the_key_that_came(token: str) -> None:
    Box().enrol(token)
    entry = AuditEntry.objects.get(action="enrol")
    assert entry.actor == "device:box-1"
    assert entry.after["state"] == DeviceState.ACCEPTED
    assert len(entry.after["key"]) == 64


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{", "application/json", 422),
        (b"[" * 100_000, "application/json", 413),
        (b"[" * 60_000, "application/json", 422),
        (b"{}", "text/plain", 415),
        (b"{}", "application/json", 422),
    ],
)
def test_hostile_bodies_get_a_clear_answer(body: bytes, content_type: str, status: int) -> None:
    answer = Box().post("enrol", body, content_type)
    assert answer.status_code == status
    assert answer["Content-Type"] == "application/problem+json"


def test_facts_with_a_nul_are_refused_and_no_crash(token: str) -> None:
    answer = Box().request_enrolment(token, facts=FACTS | {"board": "a\0b"})
    assert answer.status_code == 422
    assert not Device.objects.exists()


def test_a_wrong_verb_is_told_the_right_one() -> None:
    answer = Box().get("enrol")
    assert (answer.status_code, answer["Allow"]) == (405, "POST")


def test_one_address_cannot_try_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    moment = clock.now()  # attempts are counted by the minute, and one may end meanwhile
    monkeypatch.setattr(clock, "now", lambda: moment)
    statuses = [Box().post("enrol", {}).status_code for _ in range(121)]
    answer = Box().post("enrol", {})
    assert statuses[0] == 422
    assert answer.status_code == 429
    assert int(answer["Retry-After"]) > 0
