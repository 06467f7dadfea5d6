"""Builds can be cancelled and asked for again by who may, and waiting for nobody is shown."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from server.accounts.models import AuditEntry
from server.builds import dispatch, services
from server.builds.models import Build
from tests.fleet_ui.world import World

SignIn = Callable[[str], Client]


@pytest.fixture(autouse=True)
def _no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "send_once", lambda *_, **__: True)


def build_in(world: World, state: str) -> Build:
    return next(build for build in world.builds.values() if build.state == state)


def post(client: Client, address: str, build: Build, reason: str) -> str:
    answer = client.post(reverse(address, args=[build.pk]), {"reason": reason}, follow=True)
    build.refresh_from_db()
    return answer.content.decode()


def test_a_build_is_cancelled_with_a_reason(world: World, sign_in: SignIn) -> None:
    build, client = build_in(world, "leased"), sign_in("ada")
    assert "Cancel the build" in client.get(reverse("build", args=[build.pk])).content.decode()

    assert "Give a reason" in post(client, "cancel-build-page", build, " ")
    assert build.state == "leased"
    said = post(client, "cancel-build-page", build, "wrong golden set")

    assert f"Build {build.pk} is cancelled." in said
    assert (build.state, build.reason) == ("failed", "cancelled by ada: wrong golden set")
    assert AuditEntry.objects.get(action="cancel").actor == "user:ada"
    assert "ended already" in post(client, "cancel-build-page", build, "once more")


def test_a_refused_build_is_asked_for_again_with_a_reason(world: World, sign_in: SignIn) -> None:
    build, client = build_in(world, "refused"), sign_in("ada")
    page = client.get(reverse("build", args=[build.pk])).content.decode()
    assert "the result would be the same" in page

    assert "Say why" in post(client, "repeat-build", build, "")
    said = post(client, "repeat-build", build, "I doubt the figures")

    again = Build.objects.get(version=build.version, profile=build.profile, number=2)
    assert f"Build {again.pk}" in said
    assert "It waits for nobody: no builder serves the queue of profile" in said
    older = client.get(reverse("build", args=[build.pk])).content.decode()
    assert "Build again" not in older


def test_a_viewer_sees_no_buttons_and_may_not_post(world: World, sign_in: SignIn) -> None:
    build, client = build_in(world, "leased"), sign_in("vera")
    assert "Cancel the build" not in client.get(reverse("build", args=[build.pk])).content.decode()
    for address in ("cancel-build-page", "repeat-build"):
        answer = client.post(reverse(address, args=[build.pk]), {"reason": "mischief"})
        assert answer.status_code == 403
    build.refresh_from_db()
    assert build.state == "leased"


def test_builders_are_listed_and_a_queue_without_one_is_told_of(
    world: World, sign_in: SignIn
) -> None:
    refused, client = build_in(world, "refused"), sign_in("ada")
    assert "No builder was ever heard of" in client.get(reverse("builds")).content.decode()
    post(client, "repeat-build", refused, "I doubt the figures")
    model = reverse("model", args=[refused.version.model.name])
    chosen = f"{model}?version={refused.version.version}"
    nobody = f"o builder serves the queue of profile {refused.profile.name}"

    for address in (reverse("builds"), chosen):
        assert nobody in client.get(address).content.decode()
    services.announce_builder(name="builder@twin", problems={refused.profile: ""})
    for address in (reverse("builds"), chosen):
        assert nobody not in client.get(address).content.decode()
    assert "builder@twin" in client.get(reverse("builds")).content.decode()
