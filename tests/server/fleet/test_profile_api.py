"""Profiles of one's own: who makes them, and what is never changed under a build."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from server.accounts.models import AuditEntry, Role
from server.builds.models import Build
from server.fleet import profile_services as services
from server.fleet.enrolment import issue_enrolment_token
from server.fleet.models import HardwareProfile, Line
from server.fleet.proposals import NewProfile
from server.lib.errors import Conflict
from server.trust.services import ensure_repository
from tests.server import catalogue
from tests.server.box import Box

pytestmark = pytest.mark.django_db
Somebody = Callable[..., APIClient]

OWN = {
    "name": "own-x86",
    "title": "Our boxes",
    "runtime": "onnxruntime",
    "architecture": "x86_64",
    "precisions": ["fp32"],
}


@pytest.fixture(autouse=True)
def _seeded(db: None) -> None:
    services.seed_profiles()


@pytest.fixture
def token(line: Line) -> str:
    ensure_repository()
    return issue_enrolment_token(line=line, is_preauthorised=True, uses=9, actor="test").token


@pytest.mark.parametrize("role", [None, Role.VIEWER, Role.OPERATOR, Role.RELEASER])
def test_only_an_admin_makes_a_profile(somebody: Somebody, role: Role | None) -> None:
    assert somebody(role).post("/api/v1/hardware-profiles", OWN, format="json").status_code == 403


def test_an_admin_of_one_site_decides_no_profile(somebody: Somebody) -> None:
    admin = somebody(Role.ADMIN, site="works")
    assert admin.post("/api/v1/hardware-profiles", OWN, format="json").status_code == 403
    assert admin.delete("/api/v1/hardware-profiles/x86-litert").status_code == 403


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "../etc"},
        {"runtime": "fake"},
        {"runtime": "tensorrt"},
        {"precisions": ["fp32", "fp32"]},
        {"precisions": []},
        {"threads": 0},
        {"compute_device": "gpu"},
        {"runtime_version": "latest"},
        {"requires": {"sco": "tegra234"}},
        {"title": "a\0b"},
    ],
)
def test_a_profile_that_means_nothing_is_refused(
    somebody: Somebody, changes: dict[str, Any]
) -> None:
    answer = somebody(Role.ADMIN).post("/api/v1/hardware-profiles", OWN | changes, format="json")
    assert answer.status_code == 422
    assert answer["Content-Type"] == "application/problem+json"
    assert not HardwareProfile.objects.filter(is_seeded=False).exists()


def test_a_profile_of_ones_own_is_made_changed_and_removed(somebody: Somebody) -> None:
    admin, address = somebody(Role.ADMIN), "/api/v1/hardware-profiles/own-x86"
    assert admin.post("/api/v1/hardware-profiles", OWN, format="json").status_code == 201
    assert admin.post("/api/v1/hardware-profiles", OWN, format="json").status_code == 409
    changed = admin.put(address, OWN | {"threads": 4}, format="json")
    assert changed.json()["threads"] == 4
    assert admin.put(address, OWN | {"name": "other"}, format="json").status_code == 422
    assert admin.delete(address).status_code == 204
    assert admin.get(address).status_code == 404
    actions = set(AuditEntry.objects.filter(subject="hardware_profile").values_list("action"))
    assert actions == {("create",), ("change",), ("delete",)}


def test_a_recipe_never_changes_under_a_build_and_a_used_profile_stays() -> None:
    row = services.create_profile(profile=NewProfile.model_validate(OWN), actor="user:ada")
    version = catalogue.model_version(catalogue.vision_model())
    Build.objects.create(key="k", version=version, profile=row, created_at=timezone.now())
    faster = NewProfile.model_validate(OWN | {"threads": 8})
    with pytest.raises(Conflict, match="Make another profile"):
        services.change_profile(profile=row, to=faster, actor="user:ada")
    renamed = NewProfile.model_validate(OWN | {"title": "New name"})
    assert services.change_profile(profile=row, to=renamed, actor="user:ada").title == "New name"
    with pytest.raises(Conflict, match="in use"):
        services.delete_profile(profile=row, actor="user:ada")


def test_what_came_with_the_server_is_not_changed() -> None:
    row = HardwareProfile.objects.get(name="x86-litert")
    with pytest.raises(Conflict, match="came with the server"):
        services.delete_profile(profile=row, actor="user:ada")


def test_devices_of_other_sites_are_not_counted(
    token: str, foreign_line: Line, somebody: Somebody
) -> None:
    Box().enrol(token)
    for site, count in (("works", 1), ("elsewhere", 0)):
        viewer = somebody(Role.VIEWER, site=site, name=site)
        found = viewer.get("/api/v1/hardware-profiles/x86-onnxruntime").json()
        assert found["device_count"] == count
    used = viewer.get("/api/v1/hardware-profiles", {"is_used": "true"}).json()["results"]
    assert [row["name"] for row in used] == ["x86-onnxruntime"]
