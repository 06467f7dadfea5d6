"""The API of rollouts: rights, scope, and answers to bad input."""

from __future__ import annotations

import math
from typing import Any
from uuid import uuid4

import pytest
from pydantic import ValidationError
from rest_framework.test import APIClient

from inference_core.contract.device import Goal, ProbationLimits
from server.accounts.models import Role, User
from server.accounts.services import assign_role
from server.rollouts.models import Rollout
from server.rollouts.policy import RolloutPolicy
from server.rollouts.selectors import goal_of
from tests.server.rollouts.plant import Plant, tick

URL = "/api/v1/rollouts"


def client_of(role: Role, site: str = "") -> APIClient:
    user = User.objects.create_user(f"{role}-{site or 'all'}")
    assign_role(user=user, role=role, site=site, actor="test")
    client = APIClient()
    client.force_authenticate(user)
    return client


@pytest.fixture
def releaser(db: None) -> APIClient:
    """Somebody who may release at the plant's site."""
    return client_of(Role.RELEASER, "ulm")


def wish(plant: Plant, **changes: Any) -> dict[str, Any]:
    return {
        "name": "To all",
        "release": "r1",
        "group": plant.group.name,
        "stages": [{"devices": 1}, {"share": 1.0}],
        "policy": {"min_soak_s": 5, "min_frames": 10, "probation": {"min_frames": 15}},
        "start": True,
    } | changes


@pytest.fixture
def boxes(plant: Plant) -> Plant:
    """Three devices and a release for them."""
    plant.enrol_many(3)
    plant.release("r1")
    return plant


def test_a_releaser_plans_starts_and_watches(boxes: Plant, releaser: APIClient) -> None:
    made = releaser.post(URL, wish(boxes))
    assert made.status_code == 201, made.json()
    rollout = tick(Rollout.objects.get(pk=made.json()["id"]))
    body = releaser.get(f"{URL}/{rollout.pk}").json()
    assert (body["state"], body["release"], body["group"]) == ("running", "r1", boxes.group.name)
    assert [(s["size"], s["state"]) for s in body["stages"]] == [(1, "open"), (3, "waiting")]
    assert body["stages"][0]["verdict"]["word"] == "hold"
    assert body["stages"][0]["verdict"]["evidence"]["in_flight"] == 1
    assert body["stages"][1]["verdict"] is None
    (part,) = body["deployments"]
    assert (part["phase"], part["profile"], part["stage"]) == ("queued", "x86-ort", 0)
    assert body["reason"].startswith("held: 1 device on the way")
    assert body["policy"]["probation"]["min_frames"] == 15


def test_names_may_have_dots_here_too(boxes: Plant, releaser: APIClient) -> None:
    boxes.release("r1.2")
    assert releaser.post(URL, wish(boxes, release="r1.2")).status_code == 201


def test_a_list_is_filtered(boxes: Plant, releaser: APIClient) -> None:
    releaser.post(URL, wish(boxes))
    releaser.post(URL, wish(boxes, start=False))
    assert len(releaser.get(URL).json()["results"]) == 2
    found = releaser.get(URL, {"state": "draft", "group": boxes.group.name}).json()["results"]
    assert [rollout["state"] for rollout in found] == ["draft"]
    assert releaser.get(URL, {"release": "r2"}).json()["results"] == []


def test_every_decision_has_an_address(boxes: Plant, releaser: APIClient) -> None:
    made = releaser.post(URL, wish(boxes, start=False)).json()
    at = f"{URL}/{made['id']}"
    assert releaser.post(f"{at}/start").json()["state"] == "scheduled"
    tick(Rollout.objects.get(pk=made["id"]))
    assert releaser.post(f"{at}/pause", {"reason": "shift"}).json()["state"] == "paused"
    assert releaser.post(f"{at}/resume").json()["state"] == "running"
    assert releaser.post(f"{at}/stop").status_code == 422
    stopped = releaser.post(f"{at}/stop", {"reason": "scrap rate"}).json()
    assert (stopped["state"], stopped["reason"]) == ("stopped", "scrap rate")
    assert releaser.post(f"{at}/stop", {"reason": "again"}).status_code == 409
    assert releaser.post(f"{at}/roll-back", {"reason": "escapes"}).status_code == 422


def test_a_roll_back_answers_with_the_rollout_that_does_it(
    boxes: Plant, releaser: APIClient
) -> None:
    boxes.run_through(boxes.release("old"))
    new = boxes.run_through(boxes.release("new"))
    body = releaser.post(f"{URL}/{new.pk}/roll-back", {"reason": "escapes"}).json()
    assert (body["undoes"], body["release"], body["state"]) == (str(new.pk), None, "scheduled")


def test_devices_without_a_certified_artifact_are_named(boxes: Plant, releaser: APIClient) -> None:
    boxes.enrol("lonely-pi", "pi")
    answer = releaser.post(URL, wish(boxes))
    assert answer.status_code == 422
    assert answer["Content-Type"] == "application/problem+json"
    assert [found["serial"] for found in answer.json()["missing"]] == ["lonely-pi"]


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"release": "r9"}, 404),
        ({"group": "nobody"}, 404),
        ({"stages": []}, 422),
        ({"stages": [{"share": 2}]}, 422),
        ({"stages": ["all"]}, 422),
        ({"stages": [{"devices": 1}]}, 422),
        ({"stages": [{"share": n / 100} for n in range(1, 60)]}, 422),
        ({"policy": {"min_devices": 0}}, 422),
        ({"policy": {"error_limit": {}}}, 422),
        ({"policy": {"unheard_of": 1}}, 422),
        ({"policy": "fast"}, 422),
        ({"policy": None}, 422),
        ({"name": ""}, 422),
        ({"name": "x" * 201}, 422),
        ({"name": "nul \x00"}, 422),
    ],
)
def test_bad_input_is_answered_with_what_is_wrong(
    boxes: Plant, releaser: APIClient, changes: dict[str, Any], status: int
) -> None:
    answer = releaser.post(URL, wish(boxes, **changes))
    assert answer.status_code == status, answer.json()
    assert answer.json()["detail"]
    assert not Rollout.objects.exists()


def test_viewers_look_and_do_not_act(boxes: Plant, releaser: APIClient) -> None:
    made = releaser.post(URL, wish(boxes)).json()
    for role in (Role.VIEWER, Role.OPERATOR):
        client = client_of(role, "ulm")
        assert client.get(f"{URL}/{made['id']}").status_code == 200
        assert client.post(URL, wish(boxes)).status_code == 403
        stop = client.post(f"{URL}/{made['id']}/stop", {"reason": "no"})
        assert stop.status_code == 403
    assert APIClient().get(URL).status_code in (401, 403)


def test_another_sites_rollout_does_not_exist(boxes: Plant, releaser: APIClient) -> None:
    made = releaser.post(URL, wish(boxes)).json()
    stranger = client_of(Role.RELEASER, "oslo")
    assert stranger.get(URL).json()["results"] == []
    assert stranger.get(f"{URL}/{made['id']}").status_code == 404
    assert stranger.post(f"{URL}/{made['id']}/stop", {"reason": "no"}).status_code == 404
    assert stranger.post(URL, wish(boxes)).status_code == 404
    assert releaser.get(f"{URL}/{uuid4()}").status_code == 404
    assert Rollout.objects.get().state == "scheduled"


def test_a_group_that_crosses_sites_needs_the_role_at_all_of_them(
    boxes: Plant, releaser: APIClient
) -> None:
    foreign = Plant("oslo").enrol("oslo-box")
    boxes.join(foreign)
    assert releaser.post(URL, wish(boxes)).status_code == 404
    both = client_of(Role.RELEASER, "oslo")
    user = both.handler._force_user
    assign_role(user=user, role=Role.VIEWER, site="ulm", actor="test")
    assert both.post(URL, wish(boxes)).status_code == 403
    assign_role(user=user, role=Role.RELEASER, site="ulm", actor="test")
    assert both.post(URL, wish(boxes)).status_code == 201


def test_a_goal_names_the_release_and_stays_within_the_sites_of_its_reader(
    boxes: Plant, releaser: APIClient
) -> None:
    made = releaser.post(URL, wish(boxes)).json()
    tick(Rollout.objects.get(pk=made["id"]))
    deployment = Rollout.objects.get(pk=made["id"]).deployments.select_related("target").get()
    address = f"/api/v1/devices/{deployment.device_id}/goal"
    assert releaser.get(address).json()["release"]["sha256"] == deployment.target.sha256
    assert client_of(Role.VIEWER, "elsewhere").get(address).status_code == 404


def test_probation_reaches_the_devices_goal_as_it_was_written(
    boxes: Plant, releaser: APIClient
) -> None:
    limits = {"min_frames": 15, "min_agreement": 0.98, "max_offline_s": 1800.0}
    made = releaser.post(URL, wish(boxes, policy={"probation": limits}))
    assert made.status_code == 201
    rollout = tick(Rollout.objects.get(pk=made.json()["id"]))
    goal = goal_of(rollout.deployments.get().device)
    assert goal.probation == ProbationLimits.model_validate(limits)
    assert Goal.model_validate_json(goal.to_json()) == goal


@pytest.mark.parametrize(
    "limits",
    [
        {"min_agrement": 0.98},
        {"min_agreement": 0},
        {"min_agreement": 1.01},
        {"max_offline_s": 0},
        {"max_offline_s": "soon"},
    ],
)
def test_probation_that_cannot_be_is_refused_and_never_a_silent_default(
    boxes: Plant, releaser: APIClient, limits: dict[str, Any]
) -> None:
    answer = releaser.post(URL, wish(boxes, policy={"probation": limits}))
    assert answer.status_code == 422
    assert answer["Content-Type"] == "application/problem+json"
    assert not Rollout.objects.exists()


def test_probation_has_no_endless_limit() -> None:
    with pytest.raises(ValidationError):
        RolloutPolicy.model_validate({"probation": {"max_silence_s": math.inf}})
