"""What the tests of the server share: a clean cache, people with roles, a place, a box."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.core.cache import cache
from pydantic import SecretStr
from pytest_django import Settings
from rest_framework.test import APIClient

from server.accounts.models import Role, User
from server.accounts.services import assign_role, create_api_token
from server.fleet import presence
from server.fleet.models import Line
from server.fleet.services import create_line, create_site, seed_profiles
from tests.server.box import Box, make_box


@pytest.fixture(autouse=True)
def _a_clean_process(settings: Settings) -> Iterator[None]:
    """No cache of the test before, and no thread that writes behind a test's back."""
    settings.PRESENCE_FLUSHES_ITSELF = False
    cache.clear()
    yield
    presence._seen.clear()


@pytest.fixture
def own_blobs(tmp_path: Path, settings: Settings) -> Path:
    """Blobs of this test alone; the folder they lie in."""
    default = {**settings.STORAGES["default"], "OPTIONS": {"location": tmp_path / "blobs"}}
    settings.STORAGES = {**settings.STORAGES, "default": default}
    return tmp_path / "blobs"


@pytest.fixture
def own_files(tmp_path: Path, settings: Settings, own_blobs: Path) -> None:
    """Keys and blobs of this test alone."""
    settings.DATA = tmp_path / "data"


@pytest.fixture
def no_redis(settings: Settings) -> None:
    """As where Redis is set, and nothing listens on its port."""
    away = settings.ENV.model_copy(update={"redis_url": SecretStr("redis://127.0.0.1:1/0")})
    settings.CACHES = away.caches()


@pytest.fixture
def line(db: None) -> Line:
    """Line ``front`` of the site ``works``."""
    site = create_site(name="works", title="Works", actor="test")
    return create_line(site=site, name="front", title="Front", actor="test")


@pytest.fixture
def foreign_line(db: None) -> Line:
    """A line of another site."""
    site = create_site(name="elsewhere", title="Elsewhere", actor="test")
    return create_line(site=site, name="back", title="Back", actor="test")


@pytest.fixture
def somebody(db: None) -> Callable[..., APIClient]:
    """An API client of a new user with a role, at one site or everywhere."""

    def make(role: Role | None = None, site: str = "", name: str = "ada") -> APIClient:
        user = User.objects.create_user(name)
        if role is not None:
            assign_role(user=user, role=role, site=site, actor="test")
        token = create_api_token(user=user, name="ci", actor="test")
        return APIClient(headers={"Authorization": f"Bearer {token}"})

    return make


@pytest.fixture
def box(line: Line) -> Box:
    """A device on ``line``, enrolled, accepted, with an access token."""
    seed_profiles()
    return make_box(line)
