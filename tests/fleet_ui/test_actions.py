"""Buttons call services, carry the reason, and are refused to those who may not."""

from __future__ import annotations

from collections.abc import Callable

from django.test import Client
from django.urls import reverse

from server.accounts.models import AuditEntry, RoleAssignment
from server.fleet.keys import fingerprint
from tests.fleet_ui.world import KEY, World

SignIn = Callable[[str], Client]


def post_act(client: Client, world: World, act: str, reason: str = "the night shift") -> str:
    address = reverse("act-on-rollout", args=[world.rollout.pk, act])
    response = client.post(address, {"reason": reason}, follow=True)
    world.rollout.refresh_from_db()
    return response.content.decode()


def test_pausing_and_resuming_leave_a_reason(world: World, sign_in: SignIn) -> None:
    client = sign_in("ada")
    assert "Paused: Contrast normalisation." in post_act(client, world, "pause")
    assert world.rollout.state == "paused"
    post_act(client, world, "resume")
    assert world.rollout.state == "running"
    entry = AuditEntry.objects.filter(action="pause").get()
    assert (entry.actor, entry.reason) == ("user:ada", "the night shift")


def test_stopping_withdraws_what_is_not_active(world: World, sign_in: SignIn) -> None:
    post_act(sign_in("ada"), world, "stop")
    assert world.rollout.state == "stopped"
    phases = set(world.rollout.deployments.values_list("phase", flat=True))
    assert "downloading" not in phases


def test_without_a_reason_nothing_happens(world: World, sign_in: SignIn) -> None:
    assert "Give a reason" in post_act(sign_in("ada"), world, "stop", reason="  ")
    assert world.rollout.state == "running"


def test_a_form_with_what_cannot_be_stored_is_refused_in_words(
    world: World, sign_in: SignIn
) -> None:
    address = reverse("act-on-rollout", args=[world.rollout.pk, "stop"])
    answer = sign_in("ada").post(address, {"reason": "a\0b"})
    assert answer.status_code == 400
    assert "Nothing was changed." in answer.content.decode()
    world.rollout.refresh_from_db()
    assert world.rollout.state == "running"


def test_an_action_that_comes_too_late_is_explained(world: World, sign_in: SignIn) -> None:
    client = sign_in("ada")
    assert "cannot be resumed" in post_act(client, world, "resume")


def test_a_viewer_may_not_act_and_sees_no_buttons(world: World, sign_in: SignIn) -> None:
    client = sign_in("vera")
    address = reverse("act-on-rollout", args=[world.rollout.pk, "stop"])
    assert client.post(address, {"reason": "mischief"}).status_code == 403
    world.rollout.refresh_from_db()
    assert world.rollout.state == "running"
    page = client.get(reverse("rollout", args=[world.rollout.pk])).content.decode()
    assert "formaction" not in page


def test_a_stranger_to_the_site_gets_not_found(world: World, sign_in: SignIn) -> None:
    RoleAssignment.objects.filter(user=world.users["otto"]).update(role="admin")
    address = reverse("act-on-rollout", args=[world.rollout.pk, "stop"])
    assert sign_in("otto").post(address, {"reason": "mischief"}).status_code == 404


def test_actions_need_the_csrf_token(world: World) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(world.users["ada"])
    address = reverse("act-on-rollout", args=[world.rollout.pk, "stop"])
    assert client.post(address, {"reason": "forged"}).status_code == 403


def test_a_waiting_device_is_accepted_by_the_fingerprint_that_was_shown(
    world: World, sign_in: SignIn
) -> None:
    client, device = sign_in("ada"), world.devices[5]
    assert fingerprint(KEY) in client.get(reverse("device", args=[device.pk])).content.decode()
    address = reverse("accept-device", args=[device.pk])
    client.post(address, {"key": "another key"})
    device.refresh_from_db()
    assert device.state == "pending"
    client.post(address, {"key": fingerprint(KEY)})
    device.refresh_from_db()
    assert device.state == "accepted"
