"""Where a profile is built is decided on its page, by admins of all sites, with a reason."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from server.accounts.models import AuditEntry, RoleAssignment
from tests.fleet_ui.test_pages import text_of, text_of_answer
from tests.fleet_ui.world import World

SignIn = Callable[[str], Client]
PAGE = reverse("profile", args=["x86-openvino"])
ADDRESS = reverse("set-building", args=["x86-openvino"])
FORM = {"built_on": "device", "needs_approval": "yes", "reason": "There is no twin."}


def test_the_page_says_what_follows_and_keeps_what_was_decided(
    world: World, sign_in: SignIn
) -> None:
    client = sign_in("ada")
    assert "Nothing yet: it is as it came." in text_of(client, PAGE)
    told = text_of_answer(client.post(ADDRESS, FORM, follow=True))
    assert "Its own devices build" in told
    assert "signed only after a releaser approved it" in told
    assert "Built on its own devices, with approval" in told
    assert "There is no twin." in told
    entry = AuditEntry.objects.get(action="set_building")
    assert (entry.actor, entry.after["built_on"]) == ("user:ada", "device")

    client.post(ADDRESS, {"built_on": "device", "reason": "All boxes are behind a door."})
    assert "What a device built is signed without" in text_of(client, PAGE)
    profile = world.profiles["x86-openvino"]
    profile.refresh_from_db()
    assert not profile.needs_approval


@pytest.mark.parametrize(
    ("wrong", "words"),
    [({"reason": " "}, "Give a reason"), ({"built_on": "the moon"}, "Choose where")],
)
def test_without_reason_or_place_nothing_changes(
    world: World, sign_in: SignIn, wrong: dict[str, str], words: str
) -> None:
    told = text_of_answer(sign_in("ada").post(ADDRESS, {**FORM, **wrong}, follow=True))
    assert words in told
    assert not AuditEntry.objects.filter(action="set_building").exists()


def test_an_admin_of_one_site_may_look_and_not_decide(world: World, sign_in: SignIn) -> None:
    RoleAssignment.objects.filter(user=world.users["vera"]).update(role="admin")
    client = sign_in("vera")
    assert "An admin of all sites decides this." in text_of(client, PAGE)
    assert client.post(ADDRESS, FORM).status_code == 403
    assert client.get(reverse("profile", args=["unknown"])).status_code == 404
