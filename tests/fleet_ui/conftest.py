"""A factory in rows, and people signed in to look at it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.core.cache import cache
from django.test import Client

from tests.fleet_ui.world import World, make_world


@pytest.fixture
def world(db: None) -> World:
    cache.clear()
    return make_world()


@pytest.fixture
def sign_in(world: World) -> Callable[[str], Client]:
    """A browser in which somebody is signed in."""

    def sign_in(name: str) -> Client:
        client = Client()
        client.force_login(world.users[name])
        return client

    return sign_in
