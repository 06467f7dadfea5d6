"""The page Compare: what it shows, and who may ask for more."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from server.comparisons import dispatch
from server.comparisons.models import Comparison
from tests.fleet_ui.world import World

SignIn = Callable[[str], Client]


def body_of(client: Client, address: str) -> str:
    return client.get(address).content.decode()


def test_each_filter_shows_its_pictures_three_times(world: World, sign_in: SignIn) -> None:
    address, client = reverse("comparison", args=[world.comparison.pk]), sign_in("vera")
    wrong = world.comparison.figures.only_a_wrong
    assert 0 < wrong < 8
    assert body_of(client, address).count("<img") == 3 * 8
    assert body_of(client, f"{address}?show=only-a-wrong").count("<img") == 3 * wrong
    assert body_of(client, f"{address}?show=disagree").count("<img") == 3 * wrong
    for show in ("only-b-wrong", "both-wrong"):
        assert "There is no such picture." in body_of(client, f"{address}?show={show}")
    assert body_of(client, f"{address}?show=<b>").count("<img") == 3 * 8


def test_shares_stand_with_their_exact_intervals(world: World, sign_in: SignIn) -> None:
    body = body_of(sign_in("vera"), reverse("comparison", args=[world.comparison.pk]))
    text = body.replace("&nbsp;", " ").replace('<span class="unit">%</span>', "%")
    assert "63 % – 100 %" in text, "8 of 8"
    assert "0.9312" in text
    assert "light=evening" in text
    assert "x86-openvino" in text, "what the artifacts take, by profile"


def test_one_that_runs_shows_how_far_it_is(world: World, sign_in: SignIn) -> None:
    body = body_of(sign_in("vera"), reverse("comparison", args=[world.running_comparison.pk]))
    assert '<progress max="1" value="0.4"' in body


def test_asking_leads_to_the_comparison_and_needs_a_role(
    world: World, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "send", lambda _: None)
    newer, older = world.versions["1.1.0"], world.versions["1.0.0"]
    form = {"a": newer.pk, "b": older.pk, "dataset": ""}
    viewer = sign_in("vera")
    assert viewer.post(reverse("comparisons"), form).status_code == 403
    assert 'name="a"' not in body_of(viewer, reverse("comparisons"))
    admin = sign_in("ada")
    answer = admin.post(reverse("comparisons"), form)
    row = Comparison.objects.get(a=newer, b=older)
    assert answer["Location"] == reverse("comparison", args=[row.pk])
    assert row.dataset == world.model.golden
    assert row.created_by == "user:ada"


@pytest.mark.parametrize("wrong", [{"a": ""}, {"b": "x"}, {"dataset": "999999"}, {"a": "9" * 40}])
def test_a_wrong_choice_is_told_and_changes_nothing(
    world: World, sign_in: SignIn, wrong: dict[str, str]
) -> None:
    form = {"a": world.versions["1.1.0"].pk, "b": world.versions["1.0.0"].pk, "dataset": ""}
    answer = sign_in("ada").post(reverse("comparisons"), {**form, **wrong}, follow=True)
    assert 'role="alert"' in answer.content.decode()
    assert Comparison.objects.count() == 2


def test_a_picture_that_storage_lost_is_not_a_crash(world: World, sign_in: SignIn) -> None:
    row = world.comparison.pictures.first()
    row.image_sha256 = "0" * 64
    row.save()
    address = reverse("compared-picture", args=[world.comparison.pk, row.pk])
    answer = sign_in("vera").get(address)
    assert answer.status_code == 503
    assert int(answer["Retry-After"]) > 0
