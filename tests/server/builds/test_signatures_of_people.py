"""Where targets are held by people, a new profile waits: told once, asked for once, then done."""

from __future__ import annotations

import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache

from server.accounts.models import Role
from server.builds import dispatch, selectors, services, tasks
from server.builds.models import Artifact, Certificate
from server.fleet.models import Device, HardwareProfile
from server.fleet.services import add_to_group, create_group
from server.lib import blobs, clock
from server.registry.models import ModelVersion
from server.registry.services import create_release
from server.trust import keys
from server.trust.models import RoleWish
from server.trust.services import ensure_repository
from tests.server.builds.judging import mark_judged
from tests.server.catalogue import ACTOR, MODEL, pipeline
from tests.server.trust.ceremony import Ceremony

pytestmark = pytest.mark.django_db


@pytest.fixture
def ceremony(device: Device, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Ceremony:
    ensure_repository()
    ceremony = Ceremony(tmp_path, capsys)
    ceremony.init()
    for role in ("root", "targets"):
        keys.key_path(role).unlink()
    return ceremony


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, tuple[int, ...]]]:
    messages: list[tuple[str, tuple[int, ...]]] = []
    monkeypatch.setattr(
        dispatch.app, "send_task", lambda name, *, args, **_: messages.append((name, args))
    )
    return messages


@pytest.fixture
def artifact(version: ModelVersion, profile: HardwareProfile) -> Artifact:
    """Built, and not signed."""
    build = services.queue_build(version=version, profile=profile, actor="test")
    blob, about = blobs.put_bytes(b"engine"), blobs.put_bytes(b"{}")
    row = Artifact.objects.create(
        build=build,
        version=version,
        profile=profile,
        sha256=blob.sha256,
        length=blob.length,
        runtime=profile.runtime,
        runtime_version="1",
        precision="fp32",
        peak_memory_bytes=1,
        manifest_body=version.manifest.model_dump(mode="json"),
        created_at=clock.now(),
    )
    Certificate.objects.create(artifact=row, sha256=about.sha256, length=about.length, body={})
    return row


def sweep() -> None:
    """As the schedule does, however lately the last message was sent."""
    cache.clear()
    tasks.sign_releases()


def why_missing(release: Any, device: Device) -> str:
    (found,) = selectors.missing_artifacts(release, [device])
    return found.why


def test_a_new_profile_waits_for_targets_and_is_asked_for_once(
    ceremony: Ceremony,
    artifact: Artifact,
    device: Device,
    sent: list[Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "server.builds")
    release = create_release(
        name="r1", pipeline=pipeline(), versions={MODEL: "1.0.0"}, notes="", actor=ACTOR
    )
    sweep()
    assert sent == [("server.builds.tasks.sign_artifact", (artifact.pk,))]
    tasks.sign_artifact(artifact.pk)  # what the builder does: no crash
    assert "waits for the signature of targets" in caplog.text
    for _ in range(3):
        sweep()
    assert len(sent) == 1
    assert "waits for the signature of targets: run `" in why_missing(release, device)

    ceremony.ask()
    ceremony.sign("targets-1.pem")
    ceremony.take_in()
    sweep()
    assert len(sent) == 2
    tasks.sign_artifact(artifact.pk)
    mark_judged(release, device.profile)
    tasks.sign_release(release.pk, device.profile_id)
    assert selectors.missing_artifacts(release, [device]) == []
    assert RoleWish.objects.filter(done_at=None).count() == 0


def test_a_release_waits_for_its_second_signature_and_no_builder_is_asked_again(
    ceremony: Ceremony, artifact: Artifact, device: Device, sent: list[Any], somebody: Any
) -> None:
    tasks.sign_artifact(artifact.pk)
    ceremony.ask()
    ceremony.sign("targets-1.pem")
    ceremony.take_in()
    tasks.sign_artifact(artifact.pk)
    ada = ceremony.person("Ada")
    profile = device.profile.name
    ceremony.request.unlink()
    public = ada.with_suffix(".pub")
    ceremony.run("cosign", profile, "--person", public, "--to", ceremony.request)
    ceremony.sign("targets-1.pem")
    ceremony.take_in()

    release = create_release(
        name="r1", pipeline=pipeline(), versions={MODEL: "1.0.0"}, notes="", actor=ACTOR
    )
    mark_judged(release, device.profile)
    tasks.sign_release(release.pk, device.profile_id)
    sweep()
    assert sent == []
    assert "second signature by Ada" in why_missing(release, device)
    group = create_group(name="all", title="All", actor="test")
    add_to_group(group=group, devices=[device], actor="test")
    client = somebody(Role.VIEWER)
    seen = client.get("/api/v1/releases/r1/preflight", {"group": "all"}).json()
    assert "second signature by Ada" in seen["missing"][0]["why"]
    standing = client.get("/api/v1/trust").json()
    assert "second signature by Ada" in standing["waiting"][0]["what"]
    assert {row["role"] for row in standing["roles"]} >= {"root", f"cosigned-{profile}"}

    ceremony.ask(profile)
    ceremony.sign("Ada.pem")
    ceremony.take_in()
    sweep()
    assert sent == [("server.builds.tasks.sign_release", (release.pk, device.profile_id))]
    tasks.sign_release(release.pk, device.profile_id)
    assert selectors.missing_artifacts(release, [device]) == []


def test_a_withdrawn_artifact_is_missing_and_never_signed_again(
    device: Device, artifact: Artifact, sent: list[Any], tmp_path: Path, capsys: Any
) -> None:
    tasks.sign_artifact(artifact.pk)
    release = create_release(
        name="r1", pipeline=pipeline(), versions={MODEL: "1.0.0"}, notes="", actor=ACTOR
    )
    mark_judged(release, device.profile)
    tasks.sign_release(release.pk, device.profile_id)
    assert selectors.missing_artifacts(release, [device]) == []
    Ceremony(tmp_path, capsys).run("withdraw", device.profile.name, artifact.sha256)
    assert why_missing(release, device) == "withdrawn"
    other = create_release(
        name="r2", pipeline=pipeline(), versions={MODEL: "1.0.0"}, notes="", actor=ACTOR
    )
    Artifact.objects.update(signed_at=None)  # as of another version with the same bytes
    sweep()
    assert sent == []
    Artifact.objects.update(signed_at=clock.now())
    sweep()
    assert sent == []
    assert why_missing(other, device) == "withdrawn"


def test_builders_are_asked_to_sign_anew_what_ends(
    device: Device, artifact: Artifact, sent: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks.sign_artifact(artifact.pk)
    tasks.renew_profiles()
    assert sent == []
    moment = clock.now() + timedelta(days=65)
    monkeypatch.setattr(clock, "now", lambda: moment)
    tasks.renew_profiles()
    assert sent == [("server.builds.tasks.renew_profile", (device.profile_id,))]
    tasks.renew_profile(device.profile_id)
    cache.clear()
    tasks.renew_profiles()
    assert len(sent) == 1
