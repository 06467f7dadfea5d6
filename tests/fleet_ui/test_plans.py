"""From a version that is better to a release with it, and from the release to a rollout."""

from __future__ import annotations

import re
from collections.abc import Callable

from django.test import Client
from django.urls import reverse

from server.accounts.models import AuditEntry, RoleAssignment
from server.registry.models import ModelVersion, Release
from server.rollouts.models import Rollout
from tests.fleet_ui.test_pages import text_of, text_of_answer
from tests.fleet_ui.world import World

SignIn = Callable[[str], Client]
RELEASE, ROLLOUT = reverse("new-release"), reverse("new-rollout")
PLAN = {
    "release": "board-inspection-1",
    "name": "Back to the first",
    "group": "board-lines",
    "stages": "1, 50 %, 100%",
    "min_soak_min": "30",
    "min_frames": "200",
    "max_p95_ms": "80",
}

WRONG_RELEASES: list[tuple[dict[str, str], int, str]] = [
    ({"name": "board-inspection-1"}, 409, "releases never change"),
    ({"name": "No Good"}, 422, "Name: "),
    ({"version-of-board-defects": "9.9.9"}, 422, "There is no version"),
    ({"after": "unknown"}, 422, "Choose the release"),
]
WRONG_PLANS: list[tuple[dict[str, str], str]] = [
    ({"release": "board-inspection-3"}, "LW-DRE-0000</strong> (x86-onnxruntime)"),
    ({"release": ""}, "Choose a release."),
    ({"group": ""}, "Choose a group."),
    ({"name": " "}, "Give the rollout a name"),
    ({"stages": ""}, "Give 1 to 20 stages"),
    ({"stages": "1, half"}, "is no stage"),
    ({"stages": "1, 250 %"}, "is no stage"),
    ({"stages": "3, 1"}, "reaches the whole group"),
    ({"min_soak_min": "an hour"}, "is no number of minutes"),
    ({"min_frames": "0"}, "min_frames"),
]


def newer(world: World) -> ModelVersion:
    """A version that no release pins yet."""
    version = ModelVersion.objects.get(version="1.1.0")
    version.pk, version.version, version.sha256 = None, "1.2.0", "5" * 64
    version.save()
    return version


def test_a_version_without_a_release_leads_to_one_with_it(world: World, sign_in: SignIn) -> None:
    client, version = sign_in("ada"), newer(world)
    asked = text_of(client, f"{ROLLOUT}?version={version.pk}")
    assert "No release pins board-defects 1.2.0 yet" in asked
    form = client.get(f"{RELEASE}?version={version.pk}").content.decode()
    assert 'value="board-inspection-3"' in form
    assert '<option value="1.2.0" selected>' in form
    body = {
        "after": "board-inspection-2",
        "name": "board-inspection-3",
        "version-of-board-defects": "1.2.0",
        "notes": "Better by night.",
    }
    told = text_of_answer(client.post(RELEASE, body, follow=True))
    assert "board-inspection-3 is made." in told
    release = Release.objects.get(name="board-inspection-3")
    assert release.pipeline_body == Release.objects.get(name="board-inspection-2").pipeline_body
    assert [str(one) for one in release.versions.all()] == ["board-defects 1.2.0"]
    assert AuditEntry.objects.get(subject="release").actor == "user:ada"
    found = client.get(f"{ROLLOUT}?version={version.pk}").content.decode()
    assert '<option value="board-inspection-3" selected>' in found


def test_a_wrong_release_is_told_and_not_made(world: World, sign_in: SignIn) -> None:
    client, good = sign_in("ada"), {"after": "board-inspection-2", "name": "b-3", "notes": "kept"}
    for wrong, status, words in WRONG_RELEASES:
        answer = client.post(RELEASE, {**good, "version-of-board-defects": "1.1.0", **wrong})
        assert answer.status_code == status, words
        assert words in answer.content.decode()
        assert "kept" in answer.content.decode()
    assert Release.objects.count() == 2


def test_a_plan_becomes_a_draft_or_starts_at_once(world: World, sign_in: SignIn) -> None:
    client = sign_in("ada")
    told = text_of_answer(client.post(ROLLOUT, PLAN, follow=True))
    assert "Back to the first is a draft." in told
    draft = Rollout.objects.get(name="Back to the first")
    assert [stage.plan for stage in draft.stages.all()] == [
        {"devices": 1}, {"share": 0.5}, {"share": 1.0},
    ]  # fmt: skip
    assert (draft.rules.min_soak_s, draft.rules.min_frames, draft.rules.max_p95_ms) == (
        1800, 200, 80,
    )  # fmt: skip
    client.post(ROLLOUT, {**PLAN, "name": "And go", "start": "yes"})
    assert Rollout.objects.get(name="And go").state == "scheduled"
    assert AuditEntry.objects.filter(action="create", subject="rollout").count() == 2


def unsigned_release(world: World) -> None:
    """``board-inspection-3``, of a version that was never built."""
    made = Release.objects.get(name="board-inspection-2")
    made.pk, made.name, made.counter = None, "board-inspection-3", 3
    made.save()
    made.versions.add(newer(world))


def test_a_wrong_plan_is_told_and_kept(world: World, sign_in: SignIn) -> None:
    unsigned_release(world)
    client = sign_in("ada")
    for wrong, words in WRONG_PLANS:
        answer = client.post(ROLLOUT, {**PLAN, **wrong})
        body = answer.content.decode()
        assert answer.status_code == 422, words
        alert = re.search(r'role="alert">(.*?)</div>', body, re.DOTALL)
        assert alert is not None
        assert words in alert[1]
        assert 'value="80"' in body
    assert Rollout.objects.count() == 1


def test_who_does_not_release_and_who_releases_elsewhere_cannot(
    world: World, sign_in: SignIn
) -> None:
    viewer = sign_in("vera")
    for address in (RELEASE, ROLLOUT):
        assert viewer.get(address).status_code == 403
        assert viewer.post(address, PLAN).status_code == 403
    assert "New rollout" not in viewer.get(reverse("rollouts")).content.decode()
    RoleAssignment.objects.filter(user=world.users["otto"]).update(role="releaser")
    assert sign_in("otto").post(ROLLOUT, PLAN).status_code == 404
    assert Rollout.objects.count() == 1
