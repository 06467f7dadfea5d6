"""The dashboard in a real browser: everything can be reached, nothing is blocked or broken."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from tests.fleet_ui.addresses import all_pages
from tests.fleet_ui.world import PASSWORD, World, refuse_golden_case

pytestmark = pytest.mark.chromium

PICTURES = os.environ.get("LINEWARDEN_SCREENSHOTS")
"""Folder for pictures of every page, to be looked at; none are taken without it."""


def take_picture(page: Page, name: str) -> None:
    if PICTURES:
        folder = Path(PICTURES)
        folder.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=folder / f"{name.replace(' ', '-')}.png", full_page=True)


def overflow_px(page: Page) -> int:
    """By how much the page is wider than the window."""
    root = "document.documentElement"
    return int(page.evaluate(f"{root}.scrollWidth - {root}.clientWidth"))


def test_the_navigation_reaches_every_list(page: Page, world: World, problems: list[str]) -> None:
    for name in (
        "Devices",
        "Models",
        "Datasets",
        "Builds",
        "Compare",
        "Review",
        "Releases",
        "Rollouts",
        "Overview",
    ):
        link = page.get_by_role("navigation", name="Main").get_by_role("link", name=name)
        link.click()
        expect(page.get_by_role("heading", level=1)).to_have_text(name)
        expect(link).to_have_attribute("aria-current", "page")
    assert problems == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_loads_clean(
    page: Page, world: World, problems: list[str], scheme: Literal["light", "dark"]
) -> None:
    page.emulate_media(color_scheme=scheme)
    for name, address in all_pages(world).items():
        page.goto(address)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        assert overflow_px(page) <= 0, name
        take_picture(page, f"{scheme} {name}")
    assert problems == []


def test_every_page_fits_a_telephone(page: Page, world: World, problems: list[str]) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    check = refuse_golden_case(world, "board-inspection-3", "x86-openvino")
    check.state = "failed"
    check.save()
    unjudged = {"unjudged release": "/releases/board-inspection-3/"}
    for name, address in {**all_pages(world), **unjudged}.items():
        page.goto(address)
        assert overflow_px(page) <= 0, name
        bar = page.locator(".side").bounding_box()
        assert bar is not None
        assert bar["height"] < 80, name
        take_picture(page, f"390 {name}")
    assert problems == []


def test_sampled_frames_are_drawn_with_their_overlays(page: Page, world: World) -> None:
    page.goto(f"/devices/{world.devices[0].pk}/")
    picture = page.locator(".sample img").first
    picture.scroll_into_view_if_needed()
    expect(picture).to_have_js_property("complete", True)
    assert picture.evaluate("image => image.naturalWidth") == 640
    regions = page.locator("polygon.region")
    box, frame = (
        regions.first.bounding_box(),
        page.locator(".sample .picture").nth(1).bounding_box(),
    )
    assert box is not None
    assert frame is not None
    assert frame["x"] <= box["x"] <= frame["x"] + frame["width"]


def test_filtering_keeps_the_focus_and_writes_the_address(page: Page, world: World) -> None:
    page.goto("/devices/")
    page.keyboard.press("/")
    search = page.get_by_role("searchbox")
    expect(search).to_be_focused()
    search.press_sequentially("0003")
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(search).to_be_focused()
    expect(page).to_have_url(re.compile("search=0003"))
    page.reload()
    expect(page.locator("tbody tr")).to_have_count(1)


def test_a_change_arrives_without_a_reload(page: Page, world: World, problems: list[str]) -> None:
    page.goto(f"/rollouts/{world.rollout.pk}/")
    world.rollout.reason = "waiting for the night shift"
    world.rollout.save()
    expect(page.get_by_text("waiting for the night shift")).to_be_visible(timeout=12_000)
    assert problems == []


def test_a_poll_does_not_touch_a_reason_that_is_being_written(page: Page, world: World) -> None:
    page.goto(f"/rollouts/{world.rollout.pk}/")
    reason = page.get_by_label("Reason, for the record")
    reason.fill("the camera was mo")
    world.rollout.reason = "something new"
    world.rollout.save()
    with page.expect_response(lambda answer: "/rollouts/" in answer.url and answer.ok):
        pass
    expect(reason).to_have_value("the camera was mo")
    expect(reason).to_be_focused()


def test_limits_are_changed_by_the_keyboard_and_a_poll_takes_nothing_away(
    page: Page, world: World, problems: list[str]
) -> None:
    page.goto("/models/board-defects/")
    form = page.get_by_role("form", name="Parity limits")
    speed = form.get_by_label("p95 of one inference")
    speed.fill("-4")
    world.versions["1.1.0"].notes = "new in the part that is polled"
    world.versions["1.1.0"].save()
    expect(page.get_by_text("new in the part that is polled")).to_be_visible(timeout=12_000)
    expect(speed).to_have_value("-4")
    form.get_by_label("Reason, for the record").fill("parts pass every 50 ms")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("greater than 0")
    take_picture(page, "limits refused")
    assert problems.pop().endswith("422 (Unprocessable Entity)")
    expect(speed).to_have_value("-4")
    speed.fill("40")
    page.keyboard.press("Enter")
    expect(page.get_by_role("list", name="Changes of the limits")).to_contain_text("any → 40")
    take_picture(page, "limits changed")
    assert overflow_px(page) <= 0
    assert problems == []


def test_stopping_is_one_click_and_a_reason(page: Page, world: World) -> None:
    page.goto(f"/rollouts/{world.rollout.pk}/")
    page.get_by_label("Reason, for the record").fill("scratches are missed")
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("Stopped: Contrast normalisation.")).to_be_visible()
    expect(page.get_by_role("button", name="Stop")).to_have_count(0)


def test_everything_is_reached_by_the_keyboard(page: Page, world: World) -> None:
    page.goto("/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    focused = page.evaluate("document.activeElement.closest('main') !== null")
    assert focused, "the skip link leads past the navigation"


def test_a_chosen_theme_stays(page: Page, world: World) -> None:
    page.emulate_media(color_scheme="light")
    page.goto("/")
    switch = page.locator("[data-theme-switch]")
    switch.click()
    switch.click()
    expect(switch).to_contain_text("dark")
    page.goto("/devices/")
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"


def test_a_stranger_gets_a_door_that_works(
    browser: Browser, live_server: LiveServer, world: World
) -> None:
    page = browser.new_page(base_url=live_server.url)
    page.goto("/models/")
    take_picture(page, "light sign in")
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password").fill("a guess")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("Name or password is wrong")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Models")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    page.close()


def test_a_waiting_device_shows_its_key_and_is_let_in(page: Page, world: World) -> None:
    page.goto(f"/devices/{world.devices[5].pk}/")
    take_picture(page, "light pending device")
    page.get_by_role("button", name="Accept LW-DRE-0005").click()
    expect(page.get_by_role("status").first).to_contain_text("is accepted")


def test_words_stand_out_from_their_ground(page: Page, world: World) -> None:
    """WCAG 1.4.3: 4.5 to 1 for every text, in light and dark."""
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for name, address in all_pages(world).items():
            page.goto(address)
            page.wait_for_timeout(50)
            assert page.evaluate(CONTRAST) == [], f"{scheme} {name}"
    page.evaluate("document.documentElement.style.setProperty('--ink-quiet', '#777')")
    assert page.evaluate(CONTRAST) != [], "the measure itself sees a grey that is too weak"


def test_a_better_version_is_on_its_way_in_three_clicks(
    page: Page, world: World, problems: list[str]
) -> None:
    page.goto(f"/compare/{world.comparison.pk}/")
    page.get_by_role("link", name="Roll out B").click()
    expect(page.get_by_label("Release", exact=True)).to_have_value("board-inspection-2")
    page.get_by_label("Group").select_option("board-lines")
    page.get_by_role("button", name="Make the rollout").click()
    expect(page.get_by_text("board-inspection-2 is a draft.")).to_be_visible()
    expect(page.get_by_role("button", name="Start")).to_be_visible()
    assert problems == []


def test_a_wrong_label_is_told_of_by_keyboard(
    page: Page, world: World, problems: list[str]
) -> None:
    page.goto("/review/")
    page.get_by_label("What the label should be").first.focus()
    page.keyboard.type("A hair, no scratch.")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Label wrong").first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Noted: the label of images/1.jpg is wrong.")).to_be_visible()
    expect(page.get_by_role("button", name="Label wrong")).to_have_count(1)
    assert problems == []


CONTRAST = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const linear = (c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const ground = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = rgba(getComputedStyle(e).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255, 255];
  };
  const weak = [];
  for (const element of document.querySelectorAll("body *:not(svg, svg *, option)")) {
    const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!own || !element.checkVisibility()) continue;
    const [a, b] = [light(rgba(getComputedStyle(element).color)), light(ground(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) weak.push(`${element.className} "${element.textContent.trim()}" ${ratio}`);
  }
  return weak;
}"""


def test_the_reference_of_the_api_can_be_read(page: Page) -> None:
    page.get_by_role("link", name="API reference").click()
    page.get_by_text("/api/v1/builds/{build_id}", exact=True).wait_for()
    assert page.get_by_text("/api/v1/rollouts", exact=True).count() > 0
