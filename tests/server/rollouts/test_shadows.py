"""A release in the shadow: for whole groups, certified like a rollout, and seen by its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from rest_framework.test import APIClient

from inference_core.contract.device import ShadowLimits
from server.accounts.models import AuditEntry, Role
from server.fleet.models import Device
from server.fleet.services import add_to_group, create_group, quarantine_device, remove_from_group
from server.lib import clock
from server.lib.errors import Conflict, Invalid
from server.lib.models import OutboxMessage
from server.rollouts.models import ShadowRun
from server.rollouts.selectors import goal_of
from server.rollouts.services import start_shadow, stop_shadow
from server.telemetry.models import ShadowHour
from tests.server.rollouts.plant import ACTOR, Plant, sha256

pytestmark = pytest.mark.django_db

Somebody = Callable[..., APIClient]
RUNS = "/api/v1/shadow-runs"
LIMITS = ShadowLimits(share=0.5, max_cpu_share=0.1)


def start(plant: Plant, release: Any, **changes: Any) -> ShadowRun:
    wanted = {"group": plant.group, "release": release, "limits": LIMITS, "actor": ACTOR}
    return start_shadow(**(wanted | changes))


def saw(device: Device, release: str, shadow: str, **counts: int) -> None:
    ShadowHour.objects.create(
        device=device,
        camera="cam",
        release_sha256=release,
        shadow_sha256=shadow,
        hour=clock.now().replace(minute=0, second=0, microsecond=0),
        updated_at=clock.now(),
        **counts,
    )


def test_every_device_gets_the_target_of_its_own_profile_and_the_limits(plant: Plant) -> None:
    one, two = plant.enrol("one"), plant.enrol("two", "rpi5")
    new = plant.release("new", ("x86-ort", "rpi5"))
    run = start(plant, new)
    for device, profile in ((one, "x86-ort"), (two, "rpi5")):
        goal = goal_of(device)
        assert goal.shadow is not None
        assert (goal.shadow.sha256, goal.shadow_limits) == (sha256(f"new {profile}"), LIMITS)
    assert {m.payload["device_id"] for m in OutboxMessage.objects.all()} == {
        str(one.pk),
        str(two.pk),
    }
    stop_shadow(run=run, actor=ACTOR)
    assert (goal_of(one).shadow, goal_of(one).shadow_limits) == (None, ShadowLimits())


def test_a_device_that_decides_by_the_release_does_not_shadow_itself(plant: Plant) -> None:
    device = plant.enrol("one")
    new = plant.release("new")
    start(plant, new)
    plant.run_through(new)
    assert goal_of(device).shadow is None


def test_without_a_certified_artifact_nothing_starts_and_the_device_is_named(
    plant: Plant,
) -> None:
    plant.enrol("one")
    plant.enrol("two", "rpi5")
    with pytest.raises(Invalid) as caught:
        start(plant, plant.release("new"))
    assert [found["serial"] for found in caught.value.extra["missing"]] == ["two"]
    assert not ShadowRun.objects.exists()


def test_an_empty_group_has_no_shadow(plant: Plant) -> None:
    device = plant.enrol("one")
    quarantine_device(device=device, actor=ACTOR, reason="odd")
    with pytest.raises(Invalid):
        start(plant, plant.release("new"))


def test_one_shadow_on_a_device_also_across_groups(plant: Plant) -> None:
    device = plant.enrol("one")
    first = start(plant, plant.release("new"))
    other = create_group(name="other", title="Other", actor=ACTOR)
    add_to_group(group=other, devices=[device], actor=ACTOR)
    newer = plant.release("newer")
    for group in (plant.group, other):
        with pytest.raises(Conflict) as caught:
            start(plant, newer, group=group)
        assert caught.value.extra == {"shadow_run": str(first.pk)}
    stop_shadow(run=first, actor=ACTOR)
    start(plant, newer, group=other)


def test_who_joins_takes_part_and_who_leaves_does_not(plant: Plant) -> None:
    plant.enrol("one")
    start(plant, plant.release("new"))
    late = plant.enrol("late", joins=False)
    assert goal_of(late).shadow is None
    OutboxMessage.objects.all().delete()
    add_to_group(group=plant.group, devices=[late], actor=ACTOR)
    assert goal_of(late).shadow is not None
    remove_from_group(group=plant.group, device=late, actor=ACTOR)
    assert goal_of(late).shadow is None
    told = [message.payload["device_id"] for message in OutboxMessage.objects.all()]
    assert told == [str(late.pk)] * 2


def test_a_shadow_is_started_watched_and_stopped_over_the_api(
    plant: Plant, somebody: Somebody
) -> None:
    device = plant.enrol("one")
    plant.release("new")
    releaser = somebody(Role.RELEASER, "ulm")
    body = {"group": "ulm-boards", "release": "new", "share": 0.25}
    made = releaser.post(RUNS, body)
    assert (made.status_code, made.json()["share"], made.json()["figures"]) == (201, 0.25, [])
    saw(
        device,
        sha256("old x86-ort"),
        sha256("new x86-ort"),
        pairs=1_240,
        both_pass=1_235,
        only_shadow_fails=3,
        only_release_fails=2,
    )
    saw(device, sha256("old x86-ort"), sha256("another"), pairs=9, both_pass=9)
    path = f"{RUNS}/{made.json()['id']}"
    (figures,) = releaser.get(path).json()["figures"]
    assert (figures["pairs"], figures["only_shadow_fails"]) == (1_240, 3)
    assert figures["disagreement_share"] == 5 / 1_240
    assert [run["id"] for run in releaser.get(RUNS).json()["results"]] == [made.json()["id"]]
    stopped = releaser.post(f"{path}/stop", {"reason": "seen enough"})
    assert (stopped.status_code, stopped.json()["ended_at"] is None) == (200, False)
    assert releaser.post(f"{path}/stop", {}).status_code == 409
    actions = AuditEntry.objects.filter(subject="shadow_run").order_by("pk")
    assert [entry.action for entry in actions] == ["start_shadow", "stop_shadow"]


@pytest.mark.parametrize(
    "change",
    [{"share": 0}, {"share": 1.5}, {"max_cpu_share": 0}, {"shares": 0.1}, {"group": None}],
)
def test_a_wrong_wish_is_refused(
    plant: Plant, somebody: Somebody, change: dict[str, object]
) -> None:
    plant.enrol("one")
    plant.release("new")
    body = {"group": "ulm-boards", "release": "new"} | change
    assert somebody(Role.RELEASER).post(RUNS, body).status_code == 422
    assert not ShadowRun.objects.exists()


def test_it_refuses_strangers_and_those_who_may_not(plant: Plant, somebody: Somebody) -> None:
    plant.enrol("one")
    run = start(plant, plant.release("new"))
    operator = somebody(Role.OPERATOR, "ulm", name="otto")
    stranger = somebody(Role.ADMIN, "elsewhere", name="eve")
    body = {"group": "ulm-boards", "release": "new"}
    path = f"{RUNS}/{run.pk}"
    assert operator.get(path).status_code == 200
    assert [operator.post(p, b).status_code for p, b in ((RUNS, body), (f"{path}/stop", {}))] == [
        403,
        403,
    ]
    assert stranger.get(RUNS).json()["results"] == []
    answers = [stranger.get(path), stranger.post(RUNS, body), stranger.post(f"{path}/stop", {})]
    answers.append(stranger.get(f"{RUNS}/{uuid4()}"))
    assert {answer.status_code for answer in answers} == {404}
    run.refresh_from_db()
    assert run.ended_at is None
