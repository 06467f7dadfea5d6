"""A profile without a twin: its own device builds and judges, a person approves, and it runs."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from inference_core.contract.build import ParityCertificate
from inference_core.contract.golden import PipelineCertificate
from inference_core.contract.serve import Camera
from server.builds import services
from server.builds.checks.approving import approve_check
from server.builds.checks.leases import expire_checks
from server.builds.checks.queueing import queue_check
from server.builds.checks.states import CHECK, CheckState
from server.builds.models import Artifact, Build, BuildTurn, PipelineCheck, ReleaseTarget
from server.builds.states import BuildState
from server.device_gateway.tasks import offer_builds
from server.fleet import presence
from server.fleet.building import set_building
from server.fleet.enrolment import issue_enrolment_token
from server.fleet.models import BuiltOn, Device, HardwareProfile
from server.fleet.services import (
    announce,
    configure_device,
    create_line,
    create_site,
    seed_profiles,
)
from server.lib import blobs, clock
from server.lib.errors import Conflict
from server.registry.models import ModelVersion, Release, VisionModel
from server.registry.services import create_release
from server.rollouts.models import Desired
from server.telemetry.models import HourSummary
from server.trust.services import ensure_repository
from tests.core.build_jobs import write_pictures
from tests.server import catalogue

pytestmark = pytest.mark.django_db(transaction=True)

REPOSITORY = Path(__file__).resolve().parents[2]
PROFILE = "x86-onnxruntime"
_LIMIT_S = 90.0


class Box:
    """A real agent in a process of its own, willing to build."""

    def __init__(self, folder: Path, url: str, token: str) -> None:
        self._log = folder / "agent.err"
        self.state = folder / "state"
        settings = {
            "server_url": url,
            "data_dir": str(self.state),
            "serial": "box-1",
            "profile": PROFILE,
            "enrolment_token": token,
            "may_build": True,
            "min_poll_s": 0.1,
            "retry_base_s": 0.1,
            "retry_cap_s": 0.5,
            "summary_every_s": 0.5,
            "disk_reserve_bytes": 0,
        }
        config = folder / "agent.json"
        config.write_text(json.dumps(settings))
        command = [sys.executable, "-m", "device_agent", "--config", str(config), "run"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, cwd=REPOSITORY, stderr=log)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(30)

    def wait(self, condition: Callable[[], object], what: str) -> None:
        """Turn the server's sweeps until ``condition`` holds."""
        ends_at = time.monotonic() + _LIMIT_S
        while not condition():
            assert time.monotonic() < ends_at, f"not {what}\n{self._log.read_text()[-6000:]}"
            presence.flush()
            services.expire_leases()
            expire_checks()
            offer_builds()
            time.sleep(0.1)


@pytest.fixture
def box(live_server: LiveServer, settings: Settings, tmp_path: Path) -> Iterator[Box]:
    settings.PRESENCE_FLUSHES_ITSELF = False
    settings.DATA = tmp_path / "data"
    default = {**settings.STORAGES["default"], "OPTIONS": {"location": tmp_path / "blobs"}}
    settings.STORAGES = {**settings.STORAGES, "default": default}
    settings.ENV = settings.ENV.model_copy(update={"public_url": live_server.url, "poll_s": 0.3})
    seed_profiles()
    ensure_repository()
    HardwareProfile.objects.update(precisions=["fp32"])
    set_building(
        profile=HardwareProfile.objects.get(name=PROFILE),
        built_on=BuiltOn.DEVICE,
        needs_approval=True,
        reason="There is no twin of this board.",
        actor="user:ada",
    )
    site = create_site(name="works", title="Works", actor="test")
    line = create_line(site=site, name="front", title="Front", actor="test")
    token = issue_enrolment_token(line=line, is_preauthorised=True, actor="test").token
    box = Box(tmp_path, live_server.url, token)
    yield box
    box.stop()


def frames() -> int:
    """Parts that the device has judged and told of."""
    return sum(HourSummary.objects.values_list("frames", flat=True))


def built(box: Box, version: ModelVersion) -> Build:
    services.queue_missing_builds(actor="system")
    build = Build.objects.get(version=version)

    def is_over() -> bool:
        build.refresh_from_db()
        return build.state not in (BuildState.QUEUED, BuildState.LEASED)

    box.wait(is_over, f"built: {list(BuildTurn.objects.values())}")
    assert build.state == BuildState.SUCCEEDED, build.reason + build.log
    return build


def released(build: Build) -> Release:
    """What the host with the key does when a message reaches it, and a release of it."""
    services.approve_artifact(build=build, reason="Our own box.", actor="user:eve")
    services.sign_artifact(artifact_id=build.artifact.pk)
    return create_release(
        name="r1",
        pipeline=catalogue.pipeline(),
        versions={catalogue.MODEL: build.version.version},
        notes="",
        actor="test",
    )


def judged(box: Box, release: Release, profile: HardwareProfile) -> PipelineCheck:
    """By the device itself: no host of this server is asked."""
    check = queue_check(release=release, profile=profile, actor="system")

    def is_over() -> bool:
        check.refresh_from_db()
        return check.state in CHECK.terminal

    box.wait(is_over, f"judged: {list(BuildTurn.objects.values())}")
    assert check.state == CheckState.SUCCEEDED, check.reason
    return check


def bring_into_use(release: Release, profile: HardwareProfile) -> ReleaseTarget:
    """A person believes the device, the host with the key signs, and a rollout would follow."""
    with pytest.raises(Conflict, match="waits for approval"):
        services.sign_release(release_id=release.pk, profile_id=profile.pk)
    approve_check(release=release, profile=profile, reason="Our own box.", actor="user:eve")
    target = services.sign_release(release_id=release.pk, profile_id=profile.pk)
    device = Device.objects.get()
    Desired.objects.create(device=device, generation=1, target=target, changed_at=clock.now())
    announce([device.pk])
    return target


def test_a_device_builds_and_judges_for_itself_runs_it_and_goes_on_while_it_builds_again(
    box: Box, tmp_path: Path
) -> None:
    model: VisionModel = catalogue.vision_model()
    version = catalogue.model_version(model)
    box.wait(Device.objects.exists, "enrolled")

    build = built(box, version)

    artifact: Any = Artifact.objects.get(build=build)
    certificate = ParityCertificate.model_validate(artifact.certificate.body)
    assert certificate.built_on["device"] == "box-1"
    assert certificate.artifact_sha256 == artifact.sha256
    assert certificate.parity.share >= certificate.limits.min_metric_share
    assert len(blobs.read(artifact.sha256)) == artifact.length
    assert build.log
    device = Device.objects.get()
    camera = Camera(name="top", address=pictures(tmp_path).as_uri(), frames_per_s=20)
    configure_device(device=device, cameras=[camera], actor="test")
    release = released(build)

    check = judged(box, release, build.profile)

    proof = PipelineCertificate.model_validate(check.certificate)
    assert (proof.judged_by, proof.also_built, len(proof.cases)) == ("box-1", True, check.cases)
    assert proof.models[catalogue.MODEL].artifact_sha256 == artifact.sha256
    target = bring_into_use(release, build.profile)

    def runs() -> bool:
        device.presence.refresh_from_db()
        return bool(device.presence.running_sha256 == target.sha256)

    box.wait(runs, "running what it built")
    box.wait(frames, "judging parts")
    before = frames()
    second = catalogue.model_version(model, "2.0.0", seed=8)
    built(box, second)
    during = frames()
    box.wait(lambda: frames() > during, "judging on")
    assert before < during
    box.wait(lambda: not (box.state / "build" / "work").exists(), "swept")


def pictures(folder: Path) -> Path:
    return write_pictures(folder / "pictures", seed=3) / "images"
