"""The agent's own code: judged, signed by its own role, and run by the groups that are told to."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from rest_framework.test import APIClient
from tuf.api.metadata import Metadata, Targets

from inference_core.contract.release import TargetCustom, agent_path
from server.accounts.models import AuditEntry, Role
from server.fleet.agents import set_agent_release
from server.fleet.models import AgentRelease, Group, Line
from server.fleet.services import add_to_group, create_group, seed_profiles
from server.lib.errors import Conflict, DomainError, Invalid, Unavailable
from server.lib.models import OutboxMessage
from server.rollouts.selectors import goal_of
from server.trust import keys, selectors, services
from server.trust.agents import publish_agent
from server.trust.models import SignedTarget
from tests.agent.agent_wheel import make_wheel
from tests.server.box import make_box
from tests.server.trust.conftest import Device, RepositoryFetcher

pytestmark = pytest.mark.django_db

Somebody = Callable[..., APIClient]


@pytest.fixture
def device(tmp_path: Path, fetcher: RepositoryFetcher) -> Device:
    services.ensure_repository()
    return Device(tmp_path / "device", fetcher)


def wheel_at(folder: Path, version: str = "1.4.0", **changes: Any) -> Path:
    path = folder / f"linewarden-{version}-py3-none-any.whl"
    path.write_bytes(make_wheel(version, **changes))
    return path


def publish(folder: Path, version: str, **changes: Any) -> AgentRelease:
    return publish_agent(wheel=wheel_at(folder, version, **changes), actor="test")


def test_a_device_downloads_what_the_agents_role_signs(device: Device, tmp_path: Path) -> None:
    wheel = wheel_at(tmp_path)
    release = publish_agent(wheel=wheel, actor="test")
    assert device.download(agent_path("1.4.0")) == wheel.read_bytes()
    info = device.updater().get_targetinfo(release.path)
    assert info is not None
    custom = TargetCustom.model_validate(info.custom)
    assert (custom.kind, custom.profile, custom.counter) == ("agent", "any", 1)
    assert keys.key_path("agent").parent.name == "builders"


def test_targets_delegates_the_agents_paths_and_no_others_to_it(
    device: Device, tmp_path: Path
) -> None:
    publish(tmp_path, "1.4.0")
    row = selectors.newest("targets")
    assert row is not None
    signed: Targets = Metadata.from_bytes(bytes(row.body)).signed
    assert signed.delegations is not None
    assert signed.delegations.roles is not None
    role = signed.delegations.roles["agent"]
    assert (role.paths, role.terminating, role.threshold) == (["agent/*/*"], True, 1)


def test_no_hardware_profile_may_sign_agents(device: Device) -> None:
    with pytest.raises(Invalid):
        services.ensure_profile_role("agent")
    assert selectors.newest("profile-agent") is None


def test_the_counter_grows_and_the_same_wheel_again_changes_nothing(
    device: Device, tmp_path: Path
) -> None:
    wheel = wheel_at(tmp_path)
    first = publish_agent(wheel=wheel, actor="test")
    second = publish(tmp_path, "1.5.0")
    assert (first.counter, second.counter) == (1, 2)
    assert publish_agent(wheel=wheel, actor="test") == first
    assert AgentRelease.objects.count() == SignedTarget.objects.count() == 2
    assert AuditEntry.objects.filter(action="publish").count() == 2


def test_a_published_version_never_gets_other_bytes(device: Device, tmp_path: Path) -> None:
    publish(tmp_path, "1.4.0")
    with pytest.raises(Conflict):
        publish(tmp_path, "1.4.0", files={"device_agent/more.py": b"more = 1\n"})
    assert SignedTarget.objects.count() == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"tag": "cp311-cp311-linux_x86_64"},
        {"files": {"server/__init__.py": b""}},
        {"files": {"evil.pth": b"import os"}},
        {"files": {"../../evil.py": b""}},
        {"files": {"linewarden-1.4.0.dist-info/METADATA": b"Name: other\nVersion: 1.4.0\n"}},
        {"files": {"linewarden-9.9.9.dist-info/WHEEL": b"Root-Is-Purelib: true\n"}},
        {"files": {"linewarden-1.4.0.dist-info/WHEEL": b"Tag: py3-none-any\n"}},
        {"version": "1.4.0+local"},
        {"version": "x1"},
    ],
)
def test_what_is_no_pure_wheel_of_this_project_is_not_signed(
    device: Device, tmp_path: Path, changes: dict[str, Any]
) -> None:
    with pytest.raises(DomainError):
        publish_agent(wheel=wheel_at(tmp_path, **changes), actor="test")
    assert not AgentRelease.objects.exists()
    assert not SignedTarget.objects.exists()


def test_without_the_key_on_this_machine_nothing_is_signed(device: Device, tmp_path: Path) -> None:
    publish(tmp_path, "1.4.0")
    keys.key_path("agent").rename(tmp_path / "taken-away.pem")
    with pytest.raises(Unavailable):
        publish(tmp_path, "1.5.0")
    assert list(AgentRelease.objects.values_list("version", flat=True)) == ["1.4.0"]


def test_the_command_says_what_to_do_next_and_what_is_wrong(device: Device, tmp_path: Path) -> None:
    out = StringIO()
    call_command("publish_agent", str(wheel_at(tmp_path)), stdout=out)
    assert "agent 1.4.0 is signed, counter 1" in out.getvalue()
    broken = tmp_path / "broken.whl"
    broken.write_bytes(b"no wheel")
    for path in (broken, tmp_path / "absent.whl"):
        with pytest.raises(CommandError):
            call_command("publish_agent", str(path), stdout=out)


def test_a_group_is_told_and_its_devices_get_the_newest_of_their_groups(
    device: Device, tmp_path: Path, line: Line, somebody: Somebody
) -> None:
    seed_profiles()
    one, other = make_box(line, "one").device, make_box(line, "other").device
    trial, rest = (create_group(name=n, title=n, actor="test") for n in ("trial", "rest"))
    add_to_group(group=trial, devices=[one], actor="test")
    add_to_group(group=rest, devices=[one, other], actor="test")
    old, new = publish(tmp_path, "1.4.0"), publish(tmp_path, "1.5.0")
    set_agent_release(group=rest, release=old, actor="test")
    OutboxMessage.objects.all().delete()
    releaser = somebody(Role.RELEASER, "works")
    answer = releaser.patch("/api/v1/groups/trial", {"agent_release": "1.5.0"})
    assert (answer.status_code, answer.json()["agent_release"]) == (200, "1.5.0")
    assert (goal_of(one).agent, goal_of(other).agent) == (new.ref, old.ref)
    assert [m.payload["device_id"] for m in OutboxMessage.objects.all()] == [str(one.pk)]
    assert releaser.get(f"/api/v1/devices/{one.pk}").json()["wanted_agent"] == "1.5.0"
    found = releaser.get("/api/v1/agent-releases").json()["results"]
    assert [row["version"] for row in found] == ["1.5.0", "1.4.0"]
    assert releaser.patch("/api/v1/groups/trial", {}).json()["agent_release"] == "1.5.0"
    lifted = releaser.patch("/api/v1/groups/trial", {"agent_release": None})
    assert lifted.json()["agent_release"] is None
    assert goal_of(one).agent == old.ref


def test_who_may_not_release_everywhere_in_the_group_does_not_set_it(
    device: Device, tmp_path: Path, line: Line, foreign_line: Line, somebody: Somebody
) -> None:
    seed_profiles()
    group = create_group(name="both", title="Both", actor="test")
    devices = [make_box(line, "one").device, make_box(foreign_line, "two").device]
    add_to_group(group=group, devices=devices, actor="test")
    publish(tmp_path, "1.4.0")
    path, body = "/api/v1/groups/both", {"agent_release": "1.4.0"}
    assert somebody(Role.OPERATOR, name="otto").patch(path, body).status_code == 403
    assert somebody(Role.ADMIN, "works", name="ada").patch(path, body).status_code == 404
    everywhere = somebody(Role.RELEASER, name="rita")
    assert everywhere.patch(path, {"agent_release": "9.9.9"}).status_code == 404
    assert Group.objects.get(name="both").agent_release is None
    assert everywhere.patch(path, body).status_code == 200
