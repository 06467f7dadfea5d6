"""Who may see what: nobody unasked, nobody another site's rows."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from tests.fleet_ui.addresses import all_pages, pictures
from tests.fleet_ui.world import PASSWORD, World

SignIn = Callable[[str], Client]


def test_every_page_asks_strangers_to_sign_in(world: World, client: Client) -> None:
    for name, address in {**all_pages(world), **pictures(world)}.items():
        response = client.get(address)
        assert response.status_code == 302, name
        assert response["Location"].startswith("/sign-in/?next="), name


def test_a_poll_of_an_ended_session_leaves_the_page(world: World, client: Client) -> None:
    response = client.get(
        reverse("devices"),
        headers={"HX-Request": "true", "HX-Current-URL": "http://testserver/devices/?search=a"},
    )
    assert response["HX-Redirect"] == "/sign-in/?next=%2Fdevices%2F%3Fsearch%3Da"
    assert response.content == b""


def test_a_poll_of_what_is_no_address_leads_to_the_first_page(world: World, client: Client) -> None:
    headers = {"HX-Request": "true", "HX-Current-URL": "http://[::1"}
    answer = client.get(reverse("devices"), headers=headers)
    assert answer["HX-Redirect"] == "/sign-in/?next=%2F"


def test_somebody_without_a_role_is_told_so(world: World, sign_in: SignIn) -> None:
    response = sign_in("nobody").get(reverse("overview"))
    assert response.status_code == 403
    assert "Ask an admin" in response.content.decode()


def test_an_admin_sees_every_page(world: World, sign_in: SignIn) -> None:
    client = sign_in("ada")
    for name, address in {**all_pages(world), **pictures(world)}.items():
        assert client.get(address).status_code == 200, name


def test_it_hides_another_sites_device_picture_and_rollout(world: World, sign_in: SignIn) -> None:
    client = sign_in("vera")
    foreign = world.devices[6]
    assert foreign.serial not in client.get(reverse("devices")).content.decode()
    assert client.get(reverse("device", args=[foreign.pk])).status_code == 404
    picture = reverse("sample-image", args=[world.foreign_sample.pk])
    assert client.get(picture).status_code == 404
    otto = sign_in("otto")
    assert otto.get(reverse("rollout", args=[world.rollout.pk])).status_code == 404
    assert world.rollout.name not in otto.get(reverse("overview")).content.decode()


def test_a_picture_is_the_stored_bytes_and_private(world: World, sign_in: SignIn) -> None:
    response = sign_in("vera").get(reverse("sample-image", args=[world.sample.pk]))
    assert b"".join(response.streaming_content).startswith(b"\xff\xd8\xff")
    assert response["Content-Type"] == "image/jpeg"
    assert "private" in response["Cache-Control"]


def test_pages_are_kept_out_of_caches(world: World, sign_in: SignIn) -> None:
    response = sign_in("ada").get(reverse("devices"))
    assert "no-store" in response["Cache-Control"]


def test_signing_in_leads_to_where_one_was_going(world: World, client: Client) -> None:
    form = {"username": "ada", "password": PASSWORD, "next": "/models/"}
    assert client.post("/sign-in/", form)["Location"] == "/models/"
    assert client.post("/sign-out/")["Location"] == "/sign-in/"
    assert client.get("/models/").status_code == 302


def test_signing_in_never_leads_to_another_host(world: World, client: Client) -> None:
    form = {"username": "ada", "password": PASSWORD, "next": "https://evil.example/"}
    assert client.post("/sign-in/", form)["Location"] == "/"


def test_guessing_is_stopped_even_for_the_right_password(world: World, client: Client) -> None:
    wrong = {"username": "ada", "password": "wrong"}
    answers = [client.post("/sign-in/", wrong).status_code for _ in range(11)]
    assert answers == [422] * 10 + [429]
    right = {"username": "ada", "password": PASSWORD}
    assert client.post("/sign-in/", right).status_code == 429


def test_a_strangers_guesses_lock_nobody_out_elsewhere(world: World, client: Client) -> None:
    wrong = {"username": "ada", "password": "wrong"}
    for _ in range(11):
        client.post("/sign-in/", wrong, REMOTE_ADDR="192.0.2.1")
    right = {"username": "ada", "password": PASSWORD}
    assert client.post("/sign-in/", right, REMOTE_ADDR="192.0.2.1").status_code == 429
    assert client.post("/sign-in/", right, REMOTE_ADDR="192.0.2.2").status_code == 302


def test_guesses_from_many_addresses_are_stopped_too(world: World, client: Client) -> None:
    wrong = {"username": "ada", "password": "wrong"}
    for number in range(100):
        guess = client.post("/sign-in/", wrong, REMOTE_ADDR=f"192.0.2.{number}")
        assert guess.status_code == 422
    right = {"username": "ada", "password": PASSWORD}
    assert client.post("/sign-in/", right, REMOTE_ADDR="198.51.100.1").status_code == 429


@pytest.mark.parametrize("address", ["/sign-out/"])
def test_signing_out_by_a_link_is_refused(world: World, sign_in: SignIn, address: str) -> None:
    assert sign_in("ada").get(address).status_code == 405
