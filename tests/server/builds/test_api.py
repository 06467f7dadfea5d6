from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from server.accounts.models import Role
from server.builds import services, worker
from server.builds.models import Build
from server.fleet.models import Device, HardwareProfile, Line
from server.fleet.services import add_to_group, create_group
from server.registry.models import ModelVersion
from server.registry.services import create_release
from tests.server.catalogue import ACTOR, MODEL, model_version, pipeline

pytestmark = pytest.mark.django_db
API = "/api/v1"
Somebody = Callable[..., APIClient]


@pytest.fixture
def build(version: ModelVersion, profile: HardwareProfile) -> Build:
    return services.queue_build(version=version, profile=profile, actor="test")


def test_a_build_is_shown_with_its_candidates_log_and_certificate(
    build: Build, somebody: Somebody
) -> None:
    viewer = somebody(Role.VIEWER)
    assert viewer.get(f"{API}/builds/{build.pk}").json()["artifact"] is None
    worker.run_build(build.pk)

    shown = viewer.get(f"{API}/builds/{build.pk}").json()

    assert shown["state"] == "succeeded"
    assert shown["candidates"][0]["precision"] == "fp32"
    assert "parity" in shown["log"]
    assert shown["artifact"]["certificate"]["artifact_sha256"] == shown["artifact"]["sha256"]
    assert shown["artifact"]["signed_at"]
    assert viewer.get(f"{API}/models/{MODEL}/versions/1.0.0").json()["builds"] == [
        {"id": build.pk, "profile": build.profile.name, "state": "succeeded",
         "reason": shown["reason"]}
    ]  # fmt: skip


def test_builds_are_filtered(build: Build, somebody: Somebody) -> None:
    viewer = somebody(Role.VIEWER)

    def count(query: str) -> int:
        return len(viewer.get(f"{API}/builds?{query}").json()["results"])

    assert count("") == count("state=queued") == count(f"model={MODEL}") == 1
    assert count(f"profile={build.profile.name}") == count("version=1.0.0") == 1
    assert count("state=failed") == count("model=x") == count("profile=x") == 0
    assert viewer.get(f"{API}/builds?state=nonsense").status_code == 422


def test_who_releases_may_ask_for_a_build(
    version: ModelVersion, profile: HardwareProfile, somebody: Somebody
) -> None:
    body = {"model": MODEL, "version": "1.0.0", "profile": profile.name}
    assert somebody(Role.OPERATOR).post(f"{API}/builds", body).status_code == 403
    client = somebody(Role.RELEASER, name="eve")

    first, again = client.post(f"{API}/builds", body), client.post(f"{API}/builds", body)

    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    assert first.json()["note"] == ""
    assert "is queued" in again.json()["note"]
    assert client.post(f"{API}/builds", body | {"profile": "none"}).status_code == 422
    assert client.post(f"{API}/builds", body | {"version": "9"}).status_code == 422
    assert client.get(f"{API}/builds/999999").status_code == 404


def test_a_list_of_builds_costs_the_same_for_many(
    build: Build, somebody: Somebody, django_assert_num_queries: Any
) -> None:
    viewer = somebody(Role.VIEWER)
    with django_assert_num_queries(3):
        assert len(viewer.get(f"{API}/builds").json()["results"]) == 1
    for number in range(4):
        model_version(build.version.model, f"1.0.{number + 1}", seed=number)
    services.queue_missing_builds(actor="system")
    with django_assert_num_queries(3):
        assert len(viewer.get(f"{API}/builds").json()["results"]) == 5


def test_preflight_shows_the_devices_of_the_callers_sites_only(
    version: ModelVersion, device: Device, somebody: Somebody, foreign_line: Line
) -> None:
    create_release(name="r1", pipeline=pipeline(), versions={MODEL: "1.0.0"}, notes="", actor=ACTOR)
    group = create_group(name="all", title="All", actor="test")
    add_to_group(group=group, devices=[device], actor="test")
    address = f"{API}/releases/r1/preflight"

    own = somebody(Role.VIEWER, "works").get(address, {"group": "all"}).json()
    foreign = somebody(Role.VIEWER, "elsewhere", name="bob").get(address, {"group": "all"}).json()

    assert own["missing"] == [
        {"device": device.serial, "profile": device.profile.name, "model": MODEL,
         "why": "never built"}
    ]  # fmt: skip
    assert (foreign["devices"], foreign["missing"]) == (0, [])
    assert somebody(Role.VIEWER, name="cid").get(address).status_code == 404
