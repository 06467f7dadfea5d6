"""Assertions are believed once, and only from the key they name."""

from __future__ import annotations

import base64
import math
import time
import uuid
from datetime import timedelta
from typing import Any

import jwt
import pytest
from django.conf import settings

from server.device_gateway import credentials
from server.device_gateway.tasks import forget_assertions
from server.fleet.models import Line, UsedAssertion
from server.fleet.services import quarantine_device, release_device, revoke_device, seed_profiles
from server.lib import clock
from tests.server.box import Box, make_box

pytestmark = pytest.mark.django_db


def test_an_assertion_becomes_a_token_of_fifteen_minutes(box: Box) -> None:
    reply = box.request_token().json()
    assert reply["expires_in_s"] == 900
    assert credentials.read(f"Bearer {reply['access_token']}").device_id == box.device_id


def test_an_assertion_works_once(box: Box) -> None:
    assertion = box.assertion()
    assert box.request_token(assertion).status_code == 200
    replayed = box.request_token(assertion)
    assert replayed.status_code == 401
    assert "used already" in replayed.json()["detail"]


def now() -> int:
    return int(time.time())


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "http://elsewhere/device/v1/token"},
        {"iss": str(uuid.uuid4())},
        {"exp": now() - 3600, "iat": now() - 3640},
        {"exp": now() + 3600},
        {"iat": now() + 3600, "exp": now() + 3640},
        {"jti": 7},
        {"exp": str(now() + 45)},
        {"iat": True, "exp": now() + 45},
        {"exp": math.inf},
        {"iat": -math.inf},
        {"jti": "\ud800", "exp": now() + 3600},
    ],
    ids=[
        "another audience",
        "another issuer",
        "expired",
        "too long",
        "of the future",
        "no jti",
        "an end in words",
        "a truth for a time",
        "without end",
        "of all time",
        "no text",
    ],
)
def test_it_refuses_an_assertion_that_is_wrong(box: Box, changes: dict[str, Any]) -> None:
    answer = box.request_token(box.assertion(**changes))
    assert answer.status_code == 401
    assert "server_time" in answer.json()


def test_it_refuses_a_signature_of_another_key(box: Box, line: Line) -> None:
    thief = Box()
    thief.device_id = box.device_id
    assert thief.request_token().status_code == 401


def test_it_refuses_other_algorithms(box: Box) -> None:
    claims = jwt.decode(box.assertion(), options={"verify_signature": False})
    for forged in (
        jwt.encode(claims, None, algorithm="none"),
        jwt.encode(claims, "a shared secret of some decent length", algorithm="HS256"),
        "not.a.token",
        "",
    ):
        assert box.request_token(forged or "x").status_code == 401


@pytest.mark.parametrize("part", [0, 1])
def test_claims_that_are_nested_deeply_are_refused_and_no_crash(box: Box, part: int) -> None:
    parts = box.assertion().split(".")
    parts[part] = base64.urlsafe_b64encode(b"[" * 2700).decode().rstrip("=")
    assert box.request_token(".".join(parts)).status_code == 401
    box.token = ".".join(parts)
    assert box.poll().status_code == 401


def test_an_unknown_device_gets_no_token(box: Box) -> None:
    box.device_id = uuid.uuid4()
    assert box.request_token().status_code == 401


def test_a_pending_device_is_told_to_wait(line: Line) -> None:
    seed_profiles()
    box = make_box(line, is_preauthorised=False)
    answer = box.request_token()
    assert (answer.status_code, answer.json()["code"]) == (403, "pending")


def test_a_quarantined_device_comes_back_and_a_revoked_one_does_not(box: Box) -> None:
    quarantine_device(device=box.device, actor="user:ada", reason="odd")
    assert box.request_token().json()["code"] == "quarantined"
    assert box.poll().status_code == 403
    release_device(device=box.device, actor="user:ada")
    assert box.request_token().status_code == 200
    revoke_device(device=box.device, actor="user:ada", reason="stolen")
    assert box.request_token().json()["code"] == "revoked"
    assert box.poll().status_code == 403


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer nonsense", "Basic YTpi", "Bearer lw_abc"]
)
def test_without_a_token_every_address_is_401(box: Box, authorization: str) -> None:
    for path in ("goal", "tuf/metadata/timestamp.json", "tuf/targets/x"):
        answer = box.client.get(f"/device/v1/{path}", headers={"Authorization": authorization})
        assert answer.status_code == 401
        assert answer["WWW-Authenticate"].startswith("Bearer")


def test_it_refuses_a_token_that_somebody_else_signed(box: Box) -> None:
    claims = jwt.decode(box.token, options={"verify_signature": False})
    # Django's own key is not the key of tokens: what else it signs is no token.
    box.token = jwt.encode(claims, settings.SECRET_KEY, algorithm="HS256")
    assert box.poll().status_code == 401


def test_an_expired_token_is_refused(box: Box) -> None:
    claims = jwt.decode(box.token, options={"verify_signature": False})
    claims["exp"] = now() - 1
    key = credentials._secret(settings.SECRET_KEY)
    box.token = jwt.encode(claims, key, algorithm="HS256")
    assert box.poll().status_code == 401


def test_a_token_ends_also_while_it_is_remembered(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert box.poll().status_code == 200
    later = clock.now() + timedelta(minutes=15, seconds=1)
    monkeypatch.setattr(clock, "now", lambda: later)
    assert box.poll().status_code == 401


def test_used_assertions_are_forgotten_once_they_have_expired(box: Box) -> None:
    box.request_token()
    count = UsedAssertion.objects.count()
    forget_assertions()
    assert UsedAssertion.objects.count() == count
    UsedAssertion.objects.update(expires_at=clock.now() - timedelta(seconds=1))
    forget_assertions()
    assert not UsedAssertion.objects.exists()
