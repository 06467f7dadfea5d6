"""Real builds by the real child; what it makes is fetched by a real TUF client."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from pytest_django import Settings

from inference_core.contract.build import BuildJob, ParityCertificate, TensorRtProfile
from inference_core.contract.release import ReleaseManifest, release_path
from server.builds import selectors, services, worker
from server.builds.models import Artifact, Build, ReleaseTarget
from server.builds.states import BuildState
from server.fleet.models import Device, HardwareProfile
from server.lib import blobs
from server.lib.models import StateEvent
from server.registry.models import ModelVersion, Release
from server.registry.services import create_release, upload_version
from tests.server.builds.judging import judge
from tests.server.catalogue import ACTOR, MAX_BYTES, MODEL, manifest_json, onnx_bytes, pipeline
from tests.server.trust.conftest import Device as TufDevice
from tests.server.trust.conftest import RepositoryFetcher

pytestmark = pytest.mark.django_db


def run(version: ModelVersion, profile: HardwareProfile) -> Build:
    build = services.queue_build(version=version, profile=profile, actor="test")
    worker.run_build(build.pk)
    build.refresh_from_db()
    return build


def release(name: str = "r1", version: str = "1.0.0") -> Release:
    return create_release(
        name=name, pipeline=pipeline(), versions={MODEL: version}, notes="", actor=ACTOR
    )


def sign(row: Release, profile: HardwareProfile) -> ReleaseTarget:
    """Judged by its golden cases and signed: both by the profile's builder."""
    judge(row, profile)
    return services.sign_release(release_id=row.pk, profile_id=profile.pk)


def test_a_device_can_fetch_all_that_a_release_needs(
    version: ModelVersion, profile: HardwareProfile, tmp_path: Path
) -> None:
    build = run(version, profile)
    assert build.state == BuildState.SUCCEEDED, build.reason + build.log
    target = sign(release(), profile)
    client = TufDevice(tmp_path / "device", RepositoryFetcher())

    content = client.download(release_path(profile.name, "r1"))

    assert content is not None
    manifest = ReleaseManifest.model_validate_json(content)
    assert (manifest.counter, manifest.profile) == (1, profile.name)
    pinned = manifest.artifacts[MODEL]
    assert pinned.peak_memory_bytes > 0
    assert client.download(pinned.target.path) == blobs.read(pinned.target.sha256)
    certificate = client.download(pinned.certificate.path)
    assert certificate is not None
    parsed = ParityCertificate.model_validate_json(certificate)
    assert parsed.artifact_sha256 == pinned.target.sha256
    assert parsed.source_sha256 == version.sha256
    assert target.sha256 == client.updater().get_targetinfo(target.path).hashes["sha256"]
    assert sign(release_row(), profile) == target
    assert build.log
    assert build.candidates[0]["outcome"] == "chosen"


def release_row() -> Release:
    return Release.objects.get()


def test_the_job_of_a_build_says_what_chip_and_engine_it_is_for(
    version: ModelVersion, profile: HardwareProfile, tmp_path: Path
) -> None:
    profile.accelerator, profile.tensorrt = "edgetpu", {"version": "10.3.0"}
    profile.save()
    build = services.queue_build(version=version, profile=profile, actor="test")
    spec = BuildJob.model_validate_json(worker._prepare(build, tmp_path).read_bytes()).profile
    assert (spec.accelerator, spec.tensorrt) == ("edgetpu", TensorRtProfile(version="10.3.0"))


def test_a_second_message_builds_nothing(version: ModelVersion, profile: HardwareProfile) -> None:
    build = run(version, profile)
    events = build.attempts

    worker.run_build(build.pk)

    build.refresh_from_db()
    assert (build.attempts, Artifact.objects.count()) == (events, 1)


def test_a_killed_child_is_tried_again_and_makes_one_artifact(
    version: ModelVersion, profile: HardwareProfile
) -> None:
    build = services.queue_build(version=version, profile=profile, actor="test")
    killer = threading.Thread(target=kill_child)
    killer.start()
    worker.run_build(build.pk)
    killer.join()
    build.refresh_from_db()
    assert (build.state, build.attempts) == (BuildState.QUEUED, 1)
    assert not Artifact.objects.exists()

    worker.run_build(build.pk)

    build.refresh_from_db()
    assert (build.state, build.attempts) == (BuildState.SUCCEEDED, 2), build.reason
    assert Artifact.objects.count() == 1


def kill_child() -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for pid in own_children():
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if b"--job" in command and b"inference_core" in command:
                os.kill(pid, signal.SIGKILL)
                return
        time.sleep(0.02)


def own_children() -> list[int]:
    tasks = Path("/proc/self/task").glob("*/children")
    return [int(pid) for task in tasks for pid in task.read_text().split()]


def test_a_build_that_hangs_is_ended_for_good(
    version: ModelVersion, profile: HardwareProfile, settings: Settings
) -> None:
    settings.ENV = settings.ENV.model_copy(update={"build_timeout_s": 0.3})

    build = run(version, profile)

    assert build.state == BuildState.FAILED
    assert "0.3 s" in build.reason


def test_storage_that_is_away_is_told_of_and_tried_again(
    version: ModelVersion, profile: HardwareProfile
) -> None:
    default_storage.delete(f"sha256/{version.sha256[:2]}/{version.sha256}")

    build = run(version, profile)

    assert (build.state, build.attempts) == (BuildState.QUEUED, 1)
    event = StateEvent.objects.filter(subject="build", subject_id=str(build.pk)).last()
    assert event is not None
    assert version.sha256 in event.reason


def test_what_loses_the_metric_is_refused_and_says_why(
    version: ModelVersion, profile: HardwareProfile
) -> None:
    wrong = manifest_json(preprocess={"mean": [0.5]})
    bad = upload(version, "2.0.0", wrong)

    build = run(bad, profile)

    assert build.state == BuildState.REFUSED
    assert build.reason
    missing = selectors.missing_artifacts(release(version="2.0.0"), Device.objects.all())
    assert [(m.model, m.why) for m in missing] == [(MODEL, f"refused: {build.reason}")]


def upload(version: ModelVersion, name: str, manifest: str) -> ModelVersion:
    return upload_version(
        model=version.model,
        version=name,
        manifest=manifest,
        notes="",
        chunks=[onnx_bytes()],
        max_bytes=MAX_BYTES,
        actor=ACTOR,
    )


def test_other_thresholds_over_the_same_weights_can_be_released_too(
    version: ModelVersion, profile: HardwareProfile, tmp_path: Path
) -> None:
    decoder = {**version.manifest.decoder.model_dump(), "min_area_px": 4}
    other = upload(version, "1.0.1", manifest_json(decoder=decoder))
    assert run(version, profile).artifact.sha256 == run(other, profile).artifact.sha256

    target = sign(release(version="1.0.1"), profile)

    client = TufDevice(tmp_path / "device", RepositoryFetcher())
    manifest = ReleaseManifest.model_validate_json(client.download(target.path) or b"")
    pinned = manifest.artifacts[MODEL]
    assert pinned.manifest.decoder.min_area_px == 4
    assert client.download(pinned.certificate.path) == blobs.read(pinned.certificate.sha256)


def test_preflight_says_how_far_every_device_is(
    version: ModelVersion, profile: HardwareProfile, somebody: Any
) -> None:
    row, devices = release(), Device.objects.select_related("profile")

    def whys() -> list[tuple[str, str]]:
        return [(m.model, m.why) for m in selectors.missing_artifacts(row, devices.all())]

    assert whys() == [(MODEL, "never built")]
    services.queue_missing_builds(actor="system")
    nobody = (
        "no builder serves the queue of profile x86-onnxruntime: start one on such hardware "
        "with `python -m server build-worker --profile x86-onnxruntime`"
    )
    assert whys() == [(MODEL, nobody)]
    services.announce_builder(name="b@h", problems={profile: ""})
    assert whys() == [(MODEL, "building")]
    worker.run_build(Build.objects.get().pk)
    assert whys() == [("", "not yet signed")]
    services.announce_builder(name="b@h", problems={profile: "it has no GPU"})
    unable = nobody.replace("start one", "b@h cannot: it has no GPU; start one")
    assert whys() == [("", f"not yet signed: {unable}")]
    sign(row, profile)
    assert whys() == []
    Device.objects.update(misfit="needs TensorRT 10.3, the device has 10.7")
    assert whys() == [("", "its profile no longer fits: needs TensorRT 10.3, the device has 10.7")]
