"""Every way in which a signed file may still not be for this device."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from device_agent.admission import (
    Device,
    SignedTarget,
    clock_problem,
    judge_agent,
    judge_artifact,
    judge_certificate,
    judge_release,
    judge_release_path,
    judge_target,
)
from device_agent.errors import Rejected
from inference_core.contract.device import AgentRef
from inference_core.contract.release import (
    ANY_PROFILE,
    ReleaseManifest,
    TargetCustom,
    TargetRef,
    agent_path,
)
from inference_core.contract.words import FailureCause
from tests.agent.device import PROFILE
from tests.agent.signed_repository import SignedRepository, digest

DEVICE = Device(profile=PROFILE, counter_floor=5, memory_bytes=1000)
CUSTOM = {"kind": "release", "profile": PROFILE, "counter": 7}


@pytest.fixture(scope="module")
def release() -> tuple[TargetRef, bytes]:
    repository = SignedRepository()
    ref = repository.add_release("r7", profile=PROFILE, counter=7)
    return ref, repository.files[repository.target_file(ref)]


def signed(ref: TargetRef, **custom: Any) -> SignedTarget:
    return SignedTarget(ref.path, ref.length, {"sha256": ref.sha256}, CUSTOM | custom)


def cause_of(error: pytest.ExceptionInfo[Rejected]) -> FailureCause:
    return error.value.cause


def test_a_release_that_is_meant_for_this_device_is_admitted(
    release: tuple[TargetRef, bytes],
) -> None:
    ref, content = release
    judge_release_path(ref, DEVICE)
    custom = judge_target("release", ref, signed(ref), DEVICE)
    assert judge_release(content, ref, custom, DEVICE).counter == 7


@pytest.mark.parametrize(
    ("custom", "cause"),
    [
        ({"profile": "jetson-fake"}, FailureCause.WRONG_PROFILE),
        ({"counter": 4}, FailureCause.OLD_COUNTER),
        ({"kind": "artifact"}, FailureCause.UNTRUSTED),
        ({"kind": "firmware"}, FailureCause.UNTRUSTED),
        ({"counter": -1}, FailureCause.UNTRUSTED),
        ({"peak_memory_bytes": 1001}, FailureCause.OUT_OF_MEMORY),
    ],
)
def test_signed_fields_are_enforced(
    release: tuple[TargetRef, bytes], custom: dict[str, Any], cause: FailureCause
) -> None:
    ref, _ = release
    with pytest.raises(Rejected) as error:
        judge_target("release", ref, signed(ref, **custom), DEVICE)
    assert cause_of(error) is cause


def test_a_target_that_nobody_signed_is_refused(release: tuple[TargetRef, bytes]) -> None:
    with pytest.raises(Rejected) as error:
        judge_target("release", release[0], None, DEVICE)
    assert cause_of(error) is FailureCause.UNTRUSTED


def test_a_target_without_signed_fields_is_refused(release: tuple[TargetRef, bytes]) -> None:
    ref, _ = release
    with pytest.raises(Rejected, match="missing or malformed"):
        judge_target("release", ref, replace(signed(ref), custom=None), DEVICE)


@pytest.mark.parametrize(
    "change", [{"length": 1}, {"hashes": {}}, {"hashes": {"sha256": "0" * 64}}]
)
def test_other_bytes_than_the_goal_names_are_refused(
    release: tuple[TargetRef, bytes], change: dict[str, Any]
) -> None:
    ref, _ = release
    with pytest.raises(Rejected, match="not the file"):
        judge_target("release", ref, replace(signed(ref), **change), DEVICE)


def test_a_path_cannot_leave_its_folder(release: tuple[TargetRef, bytes]) -> None:
    ref = release[0].model_copy(update={"path": f"{PROFILE}/releases/../../key"})
    with pytest.raises(Rejected, match="leaves its folder"):
        judge_target("release", ref, signed(ref), DEVICE)


def test_a_release_below_another_profiles_path_is_refused(
    release: tuple[TargetRef, bytes],
) -> None:
    ref = release[0].model_copy(update={"path": "jetson-fake/releases/r7.json"})
    with pytest.raises(Rejected) as error:
        judge_release_path(ref, DEVICE)
    assert cause_of(error) is FailureCause.WRONG_PROFILE


def test_a_manifest_that_contradicts_what_was_signed_is_refused(
    release: tuple[TargetRef, bytes],
) -> None:
    ref, content = release
    with pytest.raises(Rejected, match="counts 7, signed was 8"):
        judge_release(content, ref, TargetCustom(**CUSTOM | {"counter": 8}), DEVICE)


def test_a_manifest_under_another_releases_name_is_refused(
    release: tuple[TargetRef, bytes],
) -> None:
    ref, content = release
    other = ref.model_copy(update={"path": f"{PROFILE}/releases/r8.json"})
    with pytest.raises(Rejected, match="holds the release 'r7'"):
        judge_release(content, other, TargetCustom(**CUSTOM), DEVICE)


def test_bytes_that_are_no_manifest_are_refused(release: tuple[TargetRef, bytes]) -> None:
    with pytest.raises(Rejected, match="no release manifest"):
        judge_release(b'{"release": 1}', release[0], TargetCustom(**CUSTOM), DEVICE)


@pytest.mark.parametrize(
    "lie",
    [{"source_sha256": "0" * 64}, {"certificate_sha256": "0" * 64}, {"runtime": "openvino"}],
)
def test_an_artifact_that_was_signed_as_something_else_is_refused(
    release: tuple[TargetRef, bytes], lie: dict[str, str]
) -> None:
    artifact = ReleaseManifest.model_validate_json(release[1]).artifacts["defects"]
    custom = TargetCustom(kind="artifact", profile=PROFILE)
    judge_artifact(artifact, custom)
    with pytest.raises(Rejected, match="was signed with"):
        judge_artifact(artifact, TargetCustom.model_validate(custom.model_dump() | lie))


def test_the_certificate_of_another_artifact_is_refused() -> None:
    repository = SignedRepository()
    manifests = []
    for name in ("r1", "r2"):
        ref = repository.add_release(name, profile=PROFILE, counter=7)
        content = repository.files[repository.target_file(ref)]
        manifests.append(ReleaseManifest.model_validate_json(content).artifacts["defects"])
    mine, other = manifests
    certificate = repository.files[repository.target_file(other.certificate)]
    assert digest(certificate) == other.certificate.sha256
    judge_certificate(certificate, other, DEVICE)
    with pytest.raises(Rejected, match="certifies other bytes"):
        judge_certificate(certificate, mine, DEVICE)


AGENT = AgentRef(target=TargetRef(path=agent_path("1.2"), sha256="a" * 64, length=9), version="1.2")
AGENT_CUSTOM = {"kind": "agent", "profile": ANY_PROFILE, "counter": 3}


def signed_agent(**custom: Any) -> SignedTarget:
    target = AGENT.target
    return SignedTarget(target.path, 9, {"sha256": target.sha256}, AGENT_CUSTOM | custom)


def test_an_agent_fits_every_profile_and_has_a_counter_of_its_own() -> None:
    assert judge_agent(AGENT, signed_agent(), floor=3).counter == 3
    assert judge_target("agent", AGENT.target, signed_agent(), replace(DEVICE, counter_floor=3))


@pytest.mark.parametrize(
    ("custom", "cause"),
    [
        ({"profile": PROFILE}, FailureCause.WRONG_PROFILE),
        ({"kind": "release"}, FailureCause.UNTRUSTED),
        ({"counter": 2}, FailureCause.OLD_COUNTER),
    ],
)
def test_an_agent_that_was_signed_as_something_else_is_refused(
    custom: dict[str, Any], cause: FailureCause
) -> None:
    with pytest.raises(Rejected) as error:
        judge_agent(AGENT, signed_agent(**custom), floor=3)
    assert cause_of(error) is cause


def test_another_file_or_an_unsigned_one_is_no_agent() -> None:
    other = AGENT.model_copy(update={"version": "1.3"})
    with pytest.raises(Rejected, match=r"not where the agent 1\.3 lies"):
        judge_agent(other, signed_agent(), floor=0)
    with pytest.raises(Rejected, match="nobody with a trusted key"):
        judge_agent(AGENT, None, floor=0)


def test_nothing_but_an_agent_may_claim_to_fit_every_profile(
    release: tuple[TargetRef, bytes],
) -> None:
    ref, _ = release
    with pytest.raises(Rejected) as error:
        judge_target("release", ref, signed(ref, profile=ANY_PROFILE), DEVICE)
    assert cause_of(error) is FailureCause.WRONG_PROFILE


def test_a_clock_behind_what_has_been_freezes_updates() -> None:
    now = datetime(2026, 11, 22, tzinfo=timezone.utc)
    assert clock_problem(now, None) is None
    assert clock_problem(now, now) is None
    assert clock_problem(datetime(1970, 1, 1, tzinfo=timezone.utc), now)
    assert clock_problem(now - timedelta(seconds=1), now)
