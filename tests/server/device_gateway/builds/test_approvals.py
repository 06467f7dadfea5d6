"""A person's word on what a device has built, before it is signed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from inference_core.contract.window import UpdateWindow
from server.accounts.models import AuditEntry, Role
from server.builds import dispatch, selectors, services
from server.builds.models import Artifact, Build
from server.fleet.models import Device, HardwareProfile
from server.fleet.windows import is_open
from server.registry.services import create_release
from server.trust.selectors import is_signed
from tests.server import catalogue
from tests.server.box import Box
from tests.server.device_gateway.builds.turns import (
    BUILDING,
    SHA256,
    Somebody,
    finish,
    leased,
)
from tests.server.device_gateway.device_built import PROFILE

pytestmark = pytest.mark.django_db


@pytest.fixture
def waiting(box: Box, build: Build, tmp_path: Path) -> Artifact:
    assert finish(box, leased(box), tmp_path).status_code == 200
    return Artifact.objects.get()


def test_a_releaser_approves_and_it_is_signed_from_the_queue_of_signers(
    waiting: Artifact, build: Build, somebody: Somebody, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(dispatch.app, "send_task", lambda *a, **k: sent.append((a[0], k["queue"])))
    release = create_release(
        name="r1",
        pipeline=catalogue.pipeline(),
        versions={catalogue.MODEL: "1.0.0"},
        notes="",
        actor="test",
    )
    devices = Device.objects.select_related("profile")

    def whys() -> list[str]:
        return [m.why for m in selectors.missing_artifacts(release, devices)]

    address = f"/api/v1/builds/{build.pk}/approve"
    with pytest.raises(Exception, match="waits for approval"):
        services.sign_artifact(artifact_id=waiting.pk)
    assert whys() == ["waits for approval"]
    operator = somebody(Role.OPERATOR, name="bob")
    assert operator.post(address, {"reason": "fine"}).status_code == 403
    releaser = somebody(Role.RELEASER)
    assert releaser.post(address, {}).status_code == 422
    shown = releaser.post(address, {"reason": "The box stands in our hall."})
    assert shown.json()["artifact"]["approved_by"] == "token:ci of ada"
    assert releaser.post(address, {"reason": "again"}).status_code == 409
    entry = AuditEntry.objects.get(action="approve", subject="artifact")
    assert (entry.actor, entry.reason) == ("token:ci of ada", "The box stands in our hall.")
    assert services.sign_waiting_releases() == 1
    assert sent == [("server.builds.tasks.sign_artifact", "sign")]
    services.sign_artifact(artifact_id=waiting.pk)
    assert is_signed(f"{PROFILE}/artifacts/{SHA256}")
    assert whys() == ["not yet signed"]


def test_what_is_rejected_is_never_signed_and_may_be_built_again(
    waiting: Artifact, build: Build, somebody: Somebody
) -> None:
    releaser = somebody(Role.RELEASER)
    address = f"/api/v1/builds/{build.pk}/reject"
    assert releaser.post(address, {"reason": "The box was stolen."}).status_code == 200
    assert not Artifact.objects.exists()
    assert AuditEntry.objects.get(action="reject").subject_id == SHA256
    wanted = {"version": build.version, "profile": build.profile, "actor": "test"}
    assert services.queue_build(**wanted).pk == build.pk
    again = services.queue_build(**wanted, again=True, reason="The box is back, wiped.")
    assert again.pk != build.pk


def test_a_profile_may_do_without_approval_and_what_was_built_keeps_its_rule(
    waiting: Artifact, profile: HardwareProfile, somebody: Somebody
) -> None:
    body = {"built_on": "device", "needs_approval": False, "reason": "All boxes are sealed."}
    assert somebody(Role.RELEASER).put(BUILDING, body).status_code == 403
    admin = somebody(Role.ADMIN, name="eve")
    assert admin.put(BUILDING, body).json()["needs_approval"] is False
    assert admin.put(BUILDING, body | {"reason": ""}).status_code == 422
    entry = AuditEntry.objects.filter(action="set_building", actor="token:ci of eve").get()
    assert (entry.reason, entry.after["needs_approval"]) == ("All boxes are sealed.", False)
    assert services.sign_waiting_releases() == 0


@pytest.mark.parametrize(
    ("at", "is_within"),
    [
        ("2026-06-01T21:59", False),  # 21:59 UTC is 23:59 in Berlin
        ("2026-06-01T22:00", True),
        ("2026-06-02T01:59", True),
        ("2026-06-02T02:00", False),
        ("2026-01-05T22:30", False),  # winter: 23:30 there
        ("2026-01-05T23:00", True),
    ],
)
def test_the_server_reads_a_window_by_the_clock_on_the_wall(at: str, is_within: bool) -> None:
    from datetime import UTC, datetime

    window = UpdateWindow.model_validate(
        {
            "time_zone": "Europe/Berlin",
            "slots": [{"weekdays": [1], "starts_at": "00:00", "duration_min": 240}],
        }
    )
    moment = datetime.fromisoformat(at).replace(tzinfo=UTC)
    assert is_open(window, moment) is is_within
