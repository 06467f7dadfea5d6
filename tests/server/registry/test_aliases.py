"""Aliases: moved by who may, from where it was seen, and never without a trace."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError
from rest_framework.response import Response
from rest_framework.test import APIClient

from server.accounts.models import AuditEntry, Role
from server.lib.errors import Conflict, Invalid
from server.registry import services
from server.registry.models import Alias, AliasMove, ModelVersion, Release, VisionModel
from server.registry.services import releases
from tests.server.catalogue import ACTOR, MODEL, client_of, pipeline
from tests.server.rows import model_row, version_row

pytestmark = pytest.mark.django_db
MOVES = f"/api/v1/models/{MODEL}/aliases/champion/moves"


@pytest.fixture
def model(db: None) -> VisionModel:
    return model_row()


@pytest.fixture
def old(model: VisionModel) -> ModelVersion:
    return version_row(model, "1.0.0")


@pytest.fixture
def new(model: VisionModel) -> ModelVersion:
    return version_row(model, "1.1.0")


def move(to: ModelVersion | None, expected: ModelVersion | None, **changes: Any) -> AliasMove:
    model = VisionModel.objects.get(name=MODEL)
    fields = {"model": model, "name": "champion", "actor": ACTOR, "reason": "better", **changes}
    return services.move_alias(version=to, expected=expected, **fields)


def send(client: APIClient, version: str | None, expected: str | None, **extra: Any) -> Response:
    body = {"version": version, "expected": expected, "reason": "fewer misses", **extra}
    return client.post(MOVES, body, format="json")


def test_every_move_is_kept_with_who_when_and_why(old: ModelVersion, new: ModelVersion) -> None:
    move(old, None, reason="the first")
    move(new, old, reason="fewer misses")
    move(None, new, reason="recalled")
    move(old, None, reason="back to it")

    told = [(m.old, m.new, m.reason, m.actor) for m in AliasMove.objects.order_by("pk")]
    assert told == [
        (None, old, "the first", ACTOR),
        (old, new, "fewer misses", ACTOR),
        (new, None, "recalled", ACTOR),
        (None, old, "back to it", ACTOR),
    ]
    assert Alias.objects.get().version == old
    assert AuditEntry.objects.filter(subject="alias", action="move").count() == 4


def test_two_people_do_not_overwrite_each_other(old: ModelVersion, new: ModelVersion) -> None:
    move(old, None)
    move(new, old)
    for expected in (old, None):
        with pytest.raises(Conflict) as refusal:
            move(None if expected else old, expected)
        assert refusal.value.extra == {"current": "1.1.0"}
    assert AliasMove.objects.count() == 2


def test_two_first_moves_at_once_are_one_move_and_one_conflict(
    old: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(**_: object) -> None:
        raise IntegrityError("somebody was first")

    monkeypatch.setattr(Alias.objects, "create", lost)
    with pytest.raises(Conflict, match="somebody moved it"):
        move(old, None)
    assert not AliasMove.objects.exists()


def test_a_move_goes_somewhere_and_to_the_same_model(old: ModelVersion) -> None:
    other = version_row(model_row("marks"), "1.0.0")
    with pytest.raises(Invalid, match="no version of"):
        move(other, None)
    move(old, None)
    with pytest.raises(Invalid, match="stay where it is"):
        move(old, old)
    with pytest.raises(Conflict):
        move(None, other)


def test_the_api_moves_an_alias_and_shows_its_history(old: ModelVersion, new: ModelVersion) -> None:
    client = client_of(Role.RELEASER)
    assert send(client, "1.0.0", None).status_code == 201
    assert send(client, "1.1.0", "1.0.0").json()["new"] == "1.1.0"
    late = send(client, None, "1.0.0")
    assert (late.status_code, late.json()["current"]) == (409, "1.1.0")

    viewer = client_of(Role.VIEWER)
    moves = viewer.get(MOVES).json()["results"]
    assert [(m["old"], m["new"], m["reason"]) for m in moves] == [
        ("1.0.0", "1.1.0", "fewer misses"),
        (None, "1.0.0", "fewer misses"),
    ]
    (alias,) = viewer.get(f"/api/v1/models/{MODEL}/aliases").json()["results"]
    assert (alias["name"], alias["version"]) == ("champion", "1.1.0")
    found = viewer.get(f"/api/v1/models/{MODEL}/versions?alias=champion").json()["results"]
    assert [(v["version"], v["aliases"]) for v in found] == [("1.1.0", ["champion"])]


def test_who_may_only_look_moves_nothing(old: ModelVersion) -> None:
    assert send(client_of(Role.OPERATOR), "1.0.0", None).status_code == 403
    assert APIClient().get(MOVES).status_code == 401
    assert not Alias.objects.exists()


@pytest.mark.parametrize(
    "body",
    [
        {"version": "9.9.9", "expected": None, "reason": "r"},
        {"version": "1.0.0", "expected": "9.9.9", "reason": "r"},
        {"version": "1.0.0", "reason": "r"},
        {"version": "1.0.0", "expected": None},
        {"version": "1.0.0", "expected": None, "reason": "  "},
        {"version": "1.0.0", "expected": None, "reason": "r" * 1001},
    ],
)
def test_a_move_that_does_not_say_all_is_refused(old: ModelVersion, body: dict[str, Any]) -> None:
    answer = client_of(Role.RELEASER).post(MOVES, body, format="json")
    assert answer.status_code == 422, answer.content
    assert not Alias.objects.exists()


def test_a_name_that_is_no_slug_and_a_model_that_is_not_there_are_refused(
    old: ModelVersion,
) -> None:
    client = client_of(Role.RELEASER)
    body = {"version": "1.0.0", "expected": None, "reason": "r"}
    for path, status in ((f"{MODEL}/aliases/Not%20A%20Name", 422), ("none/aliases/champion", 404)):
        answer = client.post(f"/api/v1/models/{path}/moves", body, format="json")
        assert answer.status_code == status, path
    assert client.get(MOVES).status_code == 404


def test_a_release_pins_what_an_alias_names_and_does_not_follow_it(
    old: ModelVersion, new: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(releases, "check_rules", lambda *_: None)  # rules have tests of their own
    monkeypatch.setattr(ModelVersion, "manifest", None)
    move(old, None)
    fields = {"pipeline": pipeline(), "notes": "", "actor": ACTOR}
    services.create_release(name="r1", versions={MODEL: "@champion"}, **fields)
    move(new, old)

    assert list(Release.objects.get().versions.all()) == [old]
    entry = AuditEntry.objects.get(subject="release")
    assert entry.after["asked_for"] == {MODEL: "@champion"}
    move(None, new)
    for told in ("@champion", "@nobody"):
        with pytest.raises(Invalid, match="names no version"):
            services.create_release(name="r2", versions={MODEL: told}, **fields)
