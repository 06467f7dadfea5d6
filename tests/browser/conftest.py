"""The real server and a real Chromium; skipped, with the reason, where there is none."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from django.core.cache import cache
from playwright.sync_api import Browser, Page, sync_playwright
from pytest_django.live_server_helper import LiveServer

from tests.fleet_ui.world import PASSWORD, World, make_world
from tests.servers import chromium_path

# Playwright's own loop runs in this thread; Django refuses its ORM beside a loop unless told.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    arguments = ["--disable-gpu"] + (["--no-sandbox"] if os.geteuid() == 0 else [])
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def world(transactional_db: None) -> World:
    cache.clear()
    return make_world()


@pytest.fixture
def problems() -> list[str]:
    """What the console of the page complained about, blocked inline code included."""
    return []


@pytest.fixture
def page(
    browser: Browser, live_server: LiveServer, world: World, problems: list[str]
) -> Iterator[Page]:
    """Signed in as an admin, with the ear on the console."""
    context = browser.new_context(base_url=live_server.url, viewport={"width": 1360, "height": 900})
    page = context.new_page()
    page.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto("/")
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/")
    yield page
    context.close()
