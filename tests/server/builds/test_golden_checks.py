"""No release is signed before its golden cases were judged on the profile as by the reference."""

from __future__ import annotations

import hashlib
import os
import platform
import signal
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from pytest_django import Settings
from rest_framework.test import APIClient

from inference_core.contract.golden import CheckedSet, PipelineCertificate, PipelineOutcome
from inference_core.contract.release import pipeline_certificate_path
from server.accounts.models import AuditEntry, Role
from server.builds import selectors, services
from server.builds.checks import leases, materials
from server.builds.checks import worker as checker
from server.builds.checks.outcomes import record_check
from server.builds.checks.queueing import queue_check
from server.builds.checks.selectors import MAX_PASSES, newest_check
from server.builds.checks.states import CheckState
from server.builds.errors import OutcomeError
from server.builds.models import Artifact, PipelineCheck, ReleaseTarget
from server.datasets.models import Purpose
from server.fleet.models import BuiltOn, Camera, Device, HardwareProfile
from server.lib.errors import Conflict
from server.registry.models import ModelVersion, Release
from server.registry.services import create_release
from server.trust.models import SignedTarget
from tests.core.golden.checks import DARK, FAINT, FINE, dull_model, write_patches
from tests.server import catalogue
from tests.server.builds.certified import certify, stored_version, upload_folder
from tests.server.builds.judging import judge
from tests.server.catalogue import ACTOR, MODEL, onnx_bytes, pipeline
from tests.server.trust.conftest import Device as TufDevice
from tests.server.trust.conftest import RepositoryFetcher

pytestmark = pytest.mark.django_db
API = "/api/v1"
DARK_RULE = "defects.count('dark') > 0"
Somebody = Callable[..., APIClient]


def make_release(name: str = "r1", **changes: Any) -> Release:
    fields = {
        "pipeline": pipeline(rule=DARK_RULE),
        "versions": {MODEL: "1.0.0"},
        "notes": "",
        **changes,
    }
    return create_release(name=name, actor=ACTOR, **fields)


@pytest.fixture
def version(device: Device) -> ModelVersion:
    """As an upload leaves it; its inspection is not what these tests are about."""
    return stored_version(catalogue.vision_model())


@pytest.fixture
def certified(version: ModelVersion, profile: HardwareProfile) -> Artifact:
    return certify(version, profile, onnx_bytes())


@pytest.fixture
def dull(version: ModelVersion, profile: HardwareProfile) -> Artifact:
    """An artifact whose own golden set saw no difference."""
    return certify(version, profile, dull_model().SerializeToString())


@pytest.fixture
def patches(tmp_path: Path) -> Any:
    levels = {"fine": FINE, "dark": DARK, "faint": FAINT}
    folder = write_patches(tmp_path / "patches", levels, fine="pass", dark="fail")
    return upload_folder(folder, "patches", Purpose.GOLDEN)


def whys(release: Release) -> list[str]:
    return [m.why for m in selectors.missing_artifacts(release, Device.objects.all())]


def test_a_release_is_signed_together_with_the_certificate_of_its_cases(
    certified: Artifact, profile: HardwareProfile, patches: Any, tmp_path: Path
) -> None:
    release = make_release(golden=patches)

    check = judge(release, profile)

    assert check.state == CheckState.SUCCEEDED, check.reason
    target = ReleaseTarget.objects.get()
    client = TufDevice(tmp_path / "device", RepositoryFetcher())
    content = client.download(pipeline_certificate_path(profile.name, "r1"))
    assert content is not None
    certificate = PipelineCertificate.model_validate_json(content)
    assert certificate.models[MODEL].artifact_sha256 == certified.sha256
    assert certificate.golden[0].sha256 == patches.sha256
    assert [case.artifact.value for case in certificate.cases] == ["pass", "fail", "fail"]
    assert (certificate.truth.labelled, certificate.truth.artifact_right) == (2, 2)
    info = client.updater().get_targetinfo(target.path)
    assert (
        info.custom["pipeline_certificate_sha256"]
        == hashlib.sha256(content).hexdigest()
        == check.certificate_sha256
    )
    assert whys(release) == []


def test_one_case_that_differs_refuses_the_release_for_the_profile_and_signs_nothing(
    dull: Artifact, profile: HardwareProfile, patches: Any, somebody: Somebody
) -> None:
    release = make_release(golden=patches)

    check = judge(release, profile)

    assert check.state == CheckState.REFUSED
    assert not ReleaseTarget.objects.exists()
    (why,) = whys(release)
    assert why.startswith(f"refused for {profile}: 1 of 3 golden cases are judged otherwise")
    assert "images/faint.png: PASS instead of FAIL" in why
    with pytest.raises(Conflict, match=r"images/faint\.png"):
        services.sign_release(release_id=release.pk, profile_id=profile.pk)
    (shown,) = somebody(Role.VIEWER).get(f"{API}/releases/r1/checks").json()
    assert (shown["state"], shown["cases"], shown["differing_count"]) == ("refused", 3, 1)
    (case,) = shown["differing"]
    assert (case["image"], case["reference"], case["artifact"]) == (
        "images/faint.png",
        "fail",
        "pass",
    )
    assert case["stages"][0]["stage"] == "defects"
    assert shown["certificate"] is None


def test_what_was_refused_is_not_judged_again_and_what_failed_may_be(
    dull: Artifact, profile: HardwareProfile, patches: Any, somebody: Somebody
) -> None:
    refused = make_release(golden=patches)
    judge(refused, profile)
    client = somebody(Role.RELEASER)
    body = {"profile": profile.name}
    for more in ({}, {"reason": "a host of ours is not doubted"}):
        assert client.post(f"{API}/releases/r1/checks", body | more).status_code == 409

    blind = make_release("r2", golden=patches, pipeline=pipeline(rule="defects.largest_mm2 > 1"))
    assert judge(blind, profile).state == CheckState.FAILED
    assert "mm_per_px" in whys(blind)[0]
    assert services.sign_waiting_releases() == 0
    answer = client.post(f"{API}/releases/r2/checks", body)
    assert (answer.status_code, answer.json()["state"]) == (201, "queued")
    again = newest_check(blind, profile)
    assert again is not None
    assert again.number == 2
    asked = AuditEntry.objects.filter(subject="pipeline_check", subject_id=str(again.pk)).get()
    assert "ada" in asked.actor


def test_only_who_releases_may_have_a_release_judged_again(
    certified: Artifact, profile: HardwareProfile, somebody: Somebody
) -> None:
    make_release()
    address, body = f"{API}/releases/r1/checks", {"profile": profile.name}

    assert somebody(Role.OPERATOR).post(address, body).status_code == 403
    client = somebody(Role.RELEASER, name="eve")
    assert client.post(address, {"profile": "none"}).status_code == 422
    assert client.post(f"{API}/releases/r9/checks", body).status_code == 404
    assert client.post(address, body).status_code == 201
    assert client.get(address).json()[0]["state"] == "queued"


def test_without_golden_cases_of_its_own_those_of_its_models_judge(
    certified: Artifact, profile: HardwareProfile
) -> None:
    check = judge(make_release(), profile)

    assert check.state == CheckState.SUCCEEDED, check.reason
    assert check.certificate["golden"][0]["sha256"] == certified.version.model.golden.sha256
    assert check.cases == certified.version.model.golden.image_count


def test_a_region_is_judged_by_pictures_of_the_region(
    certified: Artifact, profile: HardwareProfile
) -> None:
    stages = [{"id": "defects", "model": MODEL, "region": [0.1, 0.1, 0.5, 0.5]}]
    row = make_release(pipeline={**pipeline(rule=DARK_RULE), "stages": stages})

    ((golden, model, _),) = materials.golden_sets(row, {MODEL: certified})

    assert (golden, model) == (certified.version.model.golden, MODEL)


def test_a_release_without_a_check_is_never_signed(
    certified: Artifact, profile: HardwareProfile
) -> None:
    release = make_release()

    with pytest.raises(Conflict, match="not judged yet"):
        services.sign_release(release_id=release.pk, profile_id=profile.pk)
    assert not ReleaseTarget.objects.exists()


def test_the_sweep_has_it_judged_and_signs_after_a_worker_that_died_in_between(
    certified: Artifact, profile: HardwareProfile
) -> None:
    release = make_release()
    assert services.sign_waiting_releases() == 1
    check = PipelineCheck.objects.get()
    assert check.state == "queued"
    assert whys(release)[0].startswith("golden cases are being judged")
    checker.run_check(check.pk)
    ReleaseTarget.objects.all().delete()  # the worker recorded the check, and was gone

    assert services.sign_waiting_releases() == 1
    services.sign_release(release_id=release.pk, profile_id=profile.pk)

    assert whys(release) == []
    assert services.sign_waiting_releases() == 0


def test_a_check_is_run_by_one_worker_only(certified: Artifact, profile: HardwareProfile) -> None:
    check = queue_check(release=make_release(), profile=profile, actor="test")

    assert leases.lease_check(check_id=check.pk, owner="w1") is not None
    assert leases.lease_check(check_id=check.pk, owner="w2") is None
    assert queue_check(release=check.release, profile=profile, actor="test") == check
    assert not leases.extend_check(check=check, owner="w2", share=0.5)


def test_a_check_for_other_hardware_is_left_for_its_twin_and_preflight_says_why(
    certified: Artifact, profile: HardwareProfile
) -> None:
    here = platform.machine()
    elsewhere = "aarch64" if here == "x86_64" else "x86_64"
    HardwareProfile.objects.filter(pk=profile.pk).update(architecture=elsewhere)
    check = queue_check(release=make_release(), profile=profile, actor="test")

    checker.run_check(check.pk)

    check.refresh_from_db()
    assert (check.state, check.attempts) == ("queued", 0)
    (why,) = whys(check.release)
    assert "left for its twin by the builder that was asked" in why
    assert f"the profile is for {elsewhere}, and this machine is {here}" in why


@pytest.fixture
def unrunnable(certified: Artifact, profile: HardwareProfile) -> PipelineCheck:
    """A check for a profile that its devices build for, and that no host here can judge."""
    elsewhere = "aarch64" if platform.machine() == "x86_64" else "x86_64"
    HardwareProfile.objects.update(architecture=elsewhere, built_on=BuiltOn.DEVICE)
    profile.refresh_from_db()
    check = queue_check(release=make_release(), profile=profile, actor="test")
    for _ in range(MAX_PASSES):
        checker.run_check(check.pk)
    check.refresh_from_db()
    return check


def test_where_devices_build_and_no_host_can_judge_it_waits_for_one_and_signs_nothing(
    unrunnable: PipelineCheck,
) -> None:
    assert (unrunnable.state, unrunnable.attempts) == ("queued", 0)
    (why,) = whys(unrunnable.release)
    assert why.startswith("waits for a device of this profile to judge its golden cases: ")
    assert "set may_build on one of them" in why
    assert f"this machine is {platform.machine()}" in why
    with pytest.raises(Conflict):
        services.sign_release(release_id=unrunnable.release_id, profile_id=unrunnable.profile_id)


def test_a_releaser_answers_for_what_nobody_can_judge_and_it_is_signed_without_a_certificate(
    unrunnable: PipelineCheck, somebody: Somebody
) -> None:
    address = f"{API}/releases/r1/checks/waive"
    body = {"profile": unrunnable.profile.name, "reason": "judged by hand on the line"}
    assert somebody(Role.OPERATOR).post(address, body).status_code == 403
    client = somebody(Role.RELEASER, name="eve")
    assert client.post(address, {**body, "reason": " "}).status_code in (400, 422)
    answer = client.post(address, body)
    assert (answer.status_code, answer.json()["state"]) == (201, "waived")
    assert "judged by hand" in answer.json()["reason"]
    assert AuditEntry.objects.get(action="waive").reason == body["reason"]
    assert client.post(address, body).status_code == 409

    target = services.sign_release(
        release_id=unrunnable.release_id, profile_id=unrunnable.profile_id
    )
    signed = SignedTarget.objects.get(path=target.path)
    assert signed.custom_fields.pipeline_certificate_sha256 is None
    path = pipeline_certificate_path(unrunnable.profile.name, "r1")
    assert not SignedTarget.objects.filter(path=path).exists()
    assert whys(unrunnable.release) == []


def test_nobody_can_answer_for_what_was_refused_or_can_still_be_judged(
    dull: Artifact, profile: HardwareProfile, patches: Any, somebody: Somebody
) -> None:
    client, body = somebody(Role.RELEASER), {"profile": profile.name, "reason": "I dare say"}
    address = f"{API}/releases/r1/checks/waive"
    refused = make_release(golden=patches)
    assert client.post(address, body).status_code == 409
    queue_check(release=refused, profile=profile, actor="test")
    assert client.post(address, body).status_code == 409
    assert judge(refused, profile).state == CheckState.REFUSED
    assert client.post(address, body).status_code == 409
    assert "refused" in whys(refused)[0]


def test_a_worker_that_is_not_heard_of_is_replaced_three_times_at_most(
    certified: Artifact, profile: HardwareProfile
) -> None:
    check = queue_check(release=make_release(), profile=profile, actor="test")
    states = []
    for _ in range(3):
        assert leases.lease_check(check_id=check.pk, owner="w1") is not None
        late = PipelineCheck.objects.get().lease_expires_at - timedelta(hours=1)
        PipelineCheck.objects.update(lease_expires_at=late)
        assert leases.expire_checks() == 1
        states.append(PipelineCheck.objects.get().state)

    assert states == ["queued", "queued", "failed"]
    assert "not heard of" in PipelineCheck.objects.get().reason


def test_a_killed_child_is_tried_again(certified: Artifact, profile: HardwareProfile) -> None:
    check = queue_check(release=make_release(), profile=profile, actor="test")
    killer = threading.Thread(target=kill_child)
    killer.start()
    checker.run_check(check.pk)
    killer.join()
    check.refresh_from_db()
    assert (check.state, check.attempts) == ("queued", 1)

    checker.run_check(check.pk)

    check.refresh_from_db()
    assert (check.state, check.attempts) == ("succeeded", 2), check.reason


def kill_child() -> None:
    while True:
        for path in Path("/proc/self/task").glob("*/children"):
            for pid in map(int, path.read_text().split()):
                if b"certify" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                    os.kill(pid, signal.SIGKILL)
                    return


def test_a_check_that_hangs_is_ended_for_good(
    certified: Artifact, profile: HardwareProfile, settings: Settings
) -> None:
    settings.ENV = settings.ENV.model_copy(update={"build_timeout_s": 0.2})

    check = judge(make_release(), profile)

    assert (check.state, "0.2 s" in check.reason) == (CheckState.FAILED, True)


def test_storage_that_is_away_is_told_of_and_tried_again(
    certified: Artifact, profile: HardwareProfile
) -> None:
    sha256 = certified.version.sha256
    default_storage.delete(f"sha256/{sha256[:2]}/{sha256}")

    check = judge(make_release(), profile)

    assert (check.state, check.attempts) == (CheckState.QUEUED, 1)


FORGED: tuple[tuple[dict[str, Any], str], ...] = (
    ({"release": "r2"}, "release"),
    ({"counter": 7}, "release"),
    ({"profile": "another"}, "profile"),
    ({"pipeline_sha256": "0" * 64}, "pipeline"),
    ({"models": {}}, "models"),
    ({"golden": (CheckedSet(name="g", version="1", sha256="0" * 64, images=1, cases=1),)}, "set"),
    ({"cases": ()}, "no cases"),
)


def test_a_certificate_of_another_check_or_another_workers_is_not_used(
    certified: Artifact, profile: HardwareProfile, tmp_path: Path
) -> None:
    check = queue_check(release=make_release(), profile=profile, actor="test")
    leased = leases.lease_check(check_id=check.pk, owner="w1")
    assert leased is not None
    job = materials.prepare_check(leased, {MODEL: certified}, tmp_path)
    true = PipelineOutcome(outcome="succeeded", reason="", certificate=true_certificate(job))

    for forged, named in FORGED:
        certificate = true_certificate(job).model_copy(update=forged)
        outcome = true.model_copy(update={"certificate": certificate})
        with pytest.raises(OutcomeError, match=named):
            record_check(check=leased, owner="w1", job=job, outcome=outcome)
    with pytest.raises(Conflict, match="lease"):
        record_check(check=leased, owner="w2", job=job, outcome=true)
    assert PipelineCheck.objects.get().state == CheckState.LEASED
    record_check(check=leased, owner="w1", job=job, outcome=true)
    assert PipelineCheck.objects.get().state == CheckState.SUCCEEDED


def true_certificate(job: Any) -> PipelineCertificate:
    model, golden = job.models[MODEL], job.golden[0]
    manifest_sha256 = hashlib.sha256(model.artifact_manifest.to_json()).hexdigest()
    return PipelineCertificate.model_validate(
        {
            "release": job.release,
            "counter": job.counter,
            "profile": job.profile.name,
            "pipeline_sha256": hashlib.sha256(job.pipeline.to_json()).hexdigest(),
            "models": {
                MODEL: {
                    "source_sha256": model.source_sha256,
                    "manifest_sha256": manifest_sha256,
                    "artifact_sha256": model.artifact_sha256,
                    "runtime": job.profile.runtime,
                    "runtime_version": "1",
                    "precision": "fp32",
                }
            },
            "golden": [
                {"name": "g", "version": "1", "sha256": golden.sha256, "images": 1, "cases": 1}
            ],
            "cases": [{"golden": "g 1", "image": "a.png", "reference": "pass", "artifact": "pass"}],
            "truth": {"labelled": 0, "reference_right": 0, "artifact_right": 0},
            "budget_ms": 100,
            "reference_runtime": "onnxruntime 1",
        }
    )


def test_the_scale_of_a_golden_frame_is_that_of_the_profiles_cameras(
    certified: Artifact, device: Device, patches: Any
) -> None:
    for number, scale in enumerate((0.1, 0.2, 0.2, None)):
        Camera.objects.create(
            device=device, name=f"c{number}", address="file:///x", mm_per_px=scale
        )
    assert materials.scale_of_cameras(device.profile) == 0.2
    row = make_release(
        golden=patches, golden_mm_per_px=0.5, pipeline=pipeline(rule="defects.largest_mm2 > 10")
    )

    assert judge(row, device.profile).certificate["mm_per_px"] == 0.5
