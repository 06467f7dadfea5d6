"""Redis is away: people and devices are answered, and nothing that they say is lost."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from server.accounts.services import create_api_token
from tests.fleet_ui.addresses import all_pages
from tests.fleet_ui.world import PASSWORD, World, make_world
from tests.server.box import Box
from tests.server.doors import openapi

pytestmark = pytest.mark.django_db


@pytest.fixture
def world(db: None) -> World:
    return make_world()


@pytest.mark.usefixtures("no_redis")
def test_people_sign_in_and_see_every_page(world: World, client: Client) -> None:
    words = {"username": "ada", "password": "wrong"}
    assert client.post(reverse("sign-in"), words).status_code == 422
    assert client.post(reverse("sign-in"), words | {"password": PASSWORD}).status_code == 302
    for name, address in all_pages(world).items():
        assert client.get(address).status_code == 200, name


@pytest.mark.usefixtures("no_redis")
def test_every_list_of_the_api_is_answered(world: World, client: Client) -> None:
    token = create_api_token(user=world.users["ada"], name="ci", actor="test")
    lists = [path for path in openapi()["paths"] if "{" not in path]
    assert len(lists) > 10
    for path in lists:
        answer = client.get(path, headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code in (200, 405), path


@pytest.mark.usefixtures("no_redis")
def test_devices_get_tokens_and_goals(box: Box) -> None:
    box.log_in()
    assert [box.poll().status_code for _ in range(3)] == [200, 200, 200]
