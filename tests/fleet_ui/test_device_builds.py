"""What a device built waits on its page for a person, and the page says for whom it waited."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from server.accounts.models import AuditEntry
from server.builds.models import Artifact, Build, BuildTurn
from server.builds.states import TurnEnd, TurnState
from tests.fleet_ui.world import World

SignIn = Callable[[str], Client]
WHY = "needs: pip install 'linewarden[build]' (missing for openvino: onnx)"


@pytest.fixture
def build(world: World) -> Build:
    build = world.builds["1.0.0 x86-openvino"]
    device = world.devices[0]
    Artifact.objects.filter(build=build).update(device=device, needs_approval=True, signed_at=None)
    BuildTurn.objects.create(
        build=build,
        device=device,
        state=TurnState.ENDED,
        ended=TurnEnd.DECLINED,
        why=WHY,
        offered_at=world.ago(hours=1),
    )
    return build


def post(client: Client, build: Build, act: str, reason: str = "our own box") -> str:
    address = reverse(f"{act}-artifact", args=[build.pk])
    return client.post(address, {"reason": reason}, follow=True).content.decode()


def test_the_page_says_who_built_it_who_declined_and_why(
    world: World, build: Build, sign_in: SignIn
) -> None:
    page = sign_in("vera").get(reverse("build", args=[build.pk])).content.decode()
    assert "Waits for approval" in page
    assert world.devices[0].serial in page
    assert "needs: pip install &#x27;linewarden[build]&#x27;" in page
    assert "formaction" not in page  # a viewer may look


def test_approving_leaves_who_when_and_why(build: Build, sign_in: SignIn) -> None:
    client = sign_in("ada")
    assert "Give a reason" in post(client, build, "approve", reason=" ")
    assert "Approved: it is signed" in post(client, build, "approve")
    artifact = Artifact.objects.get(build=build)
    assert (artifact.approved_by, artifact.approval_reason) == ("user:ada", "our own box")
    assert artifact.approved_at is not None
    assert AuditEntry.objects.get(action="approve").reason == "our own box"
    assert "Nothing of build" in post(client, build, "approve")


def test_rejecting_forgets_the_artifact(build: Build, sign_in: SignIn) -> None:
    assert "Rejected: it will not be signed" in post(sign_in("ada"), build, "reject")
    assert not Artifact.objects.filter(build=build).exists()


def test_a_viewer_may_not_judge(build: Build, sign_in: SignIn) -> None:
    address = reverse("approve-artifact", args=[build.pk])
    assert sign_in("vera").post(address, {"reason": "mischief"}).status_code == 403
    assert Artifact.objects.get(build=build).approved_at is None
