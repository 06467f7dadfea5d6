"""The page of a model: its line, its names, its licence, and where it ran."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from server.fleet.models import ReleaseRun
from server.registry.models import Alias, AliasMove, ModelImport, ModelVersion
from server.registry.services import imports
from tests.fleet_ui.world import World, add_device, target_for

SignIn = Callable[[str], Client]


def text_of(client: Client, query: str = "") -> str:
    body = client.get(reverse("model", args=["board-defects"]) + query).content.decode()
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body).replace("&nbsp;", " "))


def move(client: Client, **form: str) -> str:
    address = reverse("move-alias", args=["board-defects"])
    sent = client.post(address, {"shown": "1.1.0", "reason": "fewer misses", **form}, follow=True)
    return str(sent.content.decode())


def test_the_line_is_drawn_from_its_oldest_version(world: World, sign_in: SignIn) -> None:
    text = text_of(sign_in("ada"), "?version=1.1.0")
    line = text[text.index(" Line ") :]
    assert line.index("board-defects 1.0.0") < line.index("board-defects 1.1.0")
    assert "more-evening" in line


def test_it_says_where_a_version_ran_and_what_runs_it_now(world: World, sign_in: SignIn) -> None:
    client = sign_in("ada")
    now = text_of(client, "?version=1.1.0")
    assert "LW-DRE-0000" in now[now.index("runs and ran") :]
    assert "Runs it" in now
    past = text_of(client, f"?version=1.0.0&at={world.ago(days=1):%Y-%m-%d}")
    assert "board-inspection-1" in past[past.index("runs and ran") :]
    assert "No device at your sites ran it then" in text_of(client, "?version=1.0.0&at=2020-01-01")
    assert "at is a day in UTC" in text_of(client, "?version=1.0.0&at=yesterday")


def test_another_sites_runs_are_not_shown(world: World, sign_in: SignIn) -> None:
    text = text_of(sign_in("otto"), "?version=1.1.0")
    assert "No device at your sites has run it yet" in text
    assert "LW-DRE" not in text


def test_a_device_shows_what_it_ran(world: World, sign_in: SignIn) -> None:
    address = reverse("device", args=[world.devices[0].pk])
    body = sign_in("ada").get(address).content.decode()
    ran = body[body.index("Releases that it ran") :]
    assert ran.index("board-inspection-2") < ran.index("board-inspection-1")
    assert "board-defects 1.0.0" in ran


def test_an_alias_is_moved_with_a_reason_and_the_move_is_shown(
    world: World, sign_in: SignIn
) -> None:
    page = move(sign_in("ada"), move="champion/1.0.0/1.1.0")
    assert "board-defects@champion names 1.1.0 now." in page
    assert "fewer misses" in page
    assert Alias.objects.get().version == world.versions["1.1.0"]
    assert AliasMove.objects.first().actor == "user:ada"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"move": "champion//1.1.0"}, "somebody moved it"),
        ({"move": "champion/1.0.0/1.1.0", "reason": " "}, "Give a reason"),
        ({"alias": "Not a name"}, "An alias has lower-case letters"),
        ({"alias": ""}, "An alias has lower-case letters"),
    ],
)
def test_a_move_that_cannot_be_moves_nothing(
    world: World, sign_in: SignIn, form: dict[str, str], said: str
) -> None:
    assert said in move(sign_in("ada"), **form)
    assert AliasMove.objects.count() == 1


def test_a_new_alias_is_set_and_taken_away(world: World, sign_in: SignIn) -> None:
    client = sign_in("ada")
    move(client, alias="candidate")
    assert Alias.objects.get(name="candidate").version == world.versions["1.1.0"]
    assert "names no version now" in move(client, move="candidate/1.1.0/")


def test_who_may_only_look_sees_no_form_and_moves_nothing(world: World, sign_in: SignIn) -> None:
    client = sign_in("vera")
    assert "Reason, for the record" not in text_of(client)
    assert client.post(reverse("move-alias", args=["board-defects"])).status_code == 403
    assert client.get(reverse("move-alias", args=["board-defects"])).status_code == 405


def test_a_licence_that_binds_and_an_import_that_failed_are_shown(
    world: World, sign_in: SignIn
) -> None:
    told = {"items": 1.0}
    ModelVersion.objects.update(
        licence="AGPL-3.0", metrics=told, recipe={"name": "r", **told}, source={"tags": told}
    )
    ModelImport.objects.create(
        model=world.model, version_name="mlflow-3", foreign_name="boards", foreign_version="3",
        state="failed", reason="The token is wrong.", created_at=world.now, created_by="user:ada",
    )  # fmt: skip
    text = text_of(sign_in("ada"))
    assert "must offer the source of the whole work" in text
    assert "The token is wrong." in text


def test_the_number_of_queries_does_not_grow_with_the_fleet(world: World, sign_in: SignIn) -> None:
    client, address = sign_in("ada"), reverse("model", args=["board-defects"])
    client.get(address)
    with CaptureQueriesContext(connection) as few:
        client.get(address)
    for index in range(100, 115):
        device = add_device(world, index, "dresden")
        sha256 = target_for(world, "board-inspection-2", device).sha256
        ReleaseRun.objects.create(device=device, sha256=sha256, since=world.now)
    with CaptureQueriesContext(connection) as many:
        client.get(address)
    assert len(many) == len(few), [query["sql"][:100] for query in many.captured_queries]


def test_a_version_is_asked_for_from_mlflow(
    world: World, sign_in: SignIn, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "send_import", lambda _: None)
    client, address = sign_in("ada"), reverse("ask-import", args=["board-defects"])
    assert "Version there" not in text_of(client)
    settings.ENV = settings.ENV.model_copy(update={"mlflow_url": "http://mlflow.test"})
    assert "From http://mlflow.test" in text_of(client)
    form = {"name": "boards", "number": "3", "version": "2.0.0"}
    assert "Version 2.0.0 is on its way." in str(client.post(address, form, follow=True).content)
    assert "on its way already" in str(client.post(address, form, follow=True).content)
    wrong = {**form, "number": "../3", "version": "2.0.1"}
    assert "is its number, or @ and an alias" in str(
        client.post(address, wrong, follow=True).content
    )
    assert sign_in("vera").post(address, form).status_code == 403
    assert ModelImport.objects.get().foreign_name == "boards"
