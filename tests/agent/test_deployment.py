"""A deployment from goal to report, with the real agent and the real inference child."""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

import pytest

from inference_core.contract.device import ProbationLimits
from inference_core.contract.telemetry import Summary
from inference_core.contract.words import DeploymentPhase
from tests.agent.device import PROFILE, Device
from tests.agent.gateway_simulator import Deployment, Simulator
from tests.agent.signed_repository import SignedRepository


def test_a_good_release_is_installed_proven_and_committed(
    device: Device, server: Simulator, repository: SignedRepository
) -> None:
    release = repository.add_release("r1", profile=PROFILE, counter=1)
    deployment = server.assign(release)
    result = device.once()
    assert result.returncode == 0, result.stderr
    assert device.current == release.sha256
    assert deployment.phases == [
        "acknowledged",
        "downloading",
        "verified",
        "staged",
        "activating",
        "probation",
        "committed",
    ]
    assert deployment.reports[-1].running_sha256 == release.sha256


class Bad(NamedTuple):
    """How a release misbehaves, and the cause that must be named."""

    cause: str
    behaviour: dict[str, object]
    limits: dict[str, float] = {}


@pytest.mark.parametrize(
    "bad",
    [
        Bad("not_finite", {"nan_from_run": 0}),
        Bad("crashed", {"kill_at_load": True}),
        Bad("load_failed", {"fail_at_load": "no such operator"}),
        Bad("out_of_memory", {"fill_memory_at_load": True}),
        Bad("crashed", {"kill_at_run": 3}),
        Bad("hung", {"hang_at_run": 3}, {"max_silence_s": 1.0}),
        Bad("too_slow", {"run_s": 0.06}, {"max_p95_ms": 20.0}),
        Bad("out_of_memory", {"leak_bytes_per_run": 60_000_000}, {"max_rss_bytes": 200_000_000}),
    ],
    ids=lambda bad: next(iter(bad.behaviour)),
)
def test_a_bad_release_is_rolled_back_with_its_cause_and_the_old_one_runs_on(
    device: Device, server: Simulator, repository: SignedRepository, bad: Bad
) -> None:
    good = repository.add_release("good", profile=PROFILE, counter=1)
    server.assign(good)
    device.start()
    device.wait(lambda: device.current == good.sha256, "committed")
    old_child = device.children()

    release = repository.add_release("bad", profile=PROFILE, counter=2, behaviour=bad.behaviour)
    limits = {"min_frames": 30, "max_duration_s": 20.0} | bad.limits
    deployment = server.assign(release, probation=ProbationLimits.model_validate(limits))
    device.wait(lambda: deployment.terminal_reports, "ended")

    (report,) = deployment.terminal_reports
    assert report.phase is DeploymentPhase.ROLLED_BACK
    assert report.error is not None
    assert report.error.cause == bad.cause, report.error
    assert report.running_sha256 == good.sha256
    assert device.current == good.sha256
    assert device.children() == old_child  # the very process: it stayed loaded all the time
    frames = sum(_frames(server, good.sha256))
    device.wait(lambda: sum(_frames(server, good.sha256)) > frames, "judging parts again")


def test_the_model_is_not_blamed_when_the_camera_is_gone(
    device: Device, server: Simulator, repository: SignedRepository
) -> None:
    (device.pictures / "part.png").unlink()
    release = repository.add_release("r1", profile=PROFILE, counter=1)
    deployment = server.assign(release, probation=ProbationLimits(max_duration_s=1.0))
    device.start()
    device.wait(lambda: deployment.terminal_reports, "ended")
    error = deployment.terminal_reports[0].error
    assert error is not None
    assert error.cause == "no_frames"
    assert "no_input" in error.detail


def test_a_release_of_another_profile_is_refused_before_anything_is_fetched(
    device: Device, server: Simulator, repository: SignedRepository
) -> None:
    foreign = repository.add_release("r1", profile="jetson-fake", counter=1)
    deployment = server.assign(foreign)
    device.start()
    device.wait(lambda: deployment.terminal_reports, "ended")
    assert _refusal(deployment) == ("rejected", "wrong_profile")
    assert not [path for _, path in server.requests if path.startswith("tuf/targets")]


def test_a_release_signed_for_another_profile_is_refused_before_load(
    device: Device, server: Simulator, repository: SignedRepository
) -> None:
    custom = {"profile": "jetson-fake"}
    release = repository.add_release("r1", profile=PROFILE, counter=1, custom=custom)
    deployment = server.assign(release)
    device.start()
    device.wait(lambda: deployment.terminal_reports, "ended")
    assert _refusal(deployment) == ("rejected", "wrong_profile")
    assert device.children() == []


def test_a_withdrawn_release_cannot_be_played_back_but_one_step_back_can(
    device: Device, server: Simulator, repository: SignedRepository
) -> None:
    first, second, third = (
        repository.add_release(f"r{n}", profile=PROFILE, counter=n) for n in (1, 2, 3)
    )
    device.start()
    for release in (first, second, third):
        server.assign(release)
        device.wait(lambda release=release: device.current == release.sha256, "committed")
    deployment = server.assign(first)
    device.wait(lambda: deployment.terminal_reports, "ended")
    assert _refusal(deployment) == ("rejected", "old_counter")
    server.assign(second)
    device.wait(lambda: device.current == second.sha256, "one step back")
    assert device.linked("previous") == third.sha256


def test_tampered_bytes_are_never_loaded(
    device: Device, server: Simulator, repository: SignedRepository
) -> None:
    release = repository.add_release("r1", profile=PROFILE, counter=1)
    path = repository.target_file(repository.artifact_of(release))
    repository.files[path] = repository.files[path].replace(b"metadata", b"Metadata")
    deployment = server.assign(release)
    device.start()
    device.wait(lambda: deployment.terminal_reports, "ended")
    assert _refusal(deployment) == ("rejected", "untrusted")
    assert device.children() == []


def test_metadata_of_a_stranger_is_refused(
    device: Device, server: Simulator, repository: SignedRepository
) -> None:
    repository.lose_keys("timestamp")
    release = repository.add_release("r1", profile=PROFILE, counter=1)
    deployment = server.assign(release)
    device.start()
    device.wait(lambda: deployment.terminal_reports, "ended")
    assert _refusal(deployment) == ("rejected", "untrusted")
    assert device.current is None


def test_expired_metadata_freezes_updates_and_fresh_metadata_heals(
    device: Device, server: Simulator, repository: SignedRepository
) -> None:
    repository.lifetime = timedelta(seconds=-5)
    release = repository.add_release("r1", profile=PROFILE, counter=1)
    deployment = server.assign(release)
    device.start()
    device.wait(lambda: "updates are frozen" in device.log, "frozen")
    assert device.current is None
    assert deployment.terminal_reports == []
    device.stop()
    repository.lifetime = timedelta(days=1)
    repository.rotate_root()
    repository.publish()
    device.start()
    device.wait(lambda: deployment.terminal_reports, "ended")
    assert device.current == release.sha256


def test_a_device_that_was_away_walks_through_twenty_root_rotations(
    device: Device, server: Simulator, repository: SignedRepository
) -> None:
    for _ in range(20):
        repository.rotate_root()
    server.assign(repository.add_release("r1", profile=PROFILE, counter=1))
    assert device.once().returncode == 0


def test_a_truncated_download_is_resumed_and_not_repeated(
    device: Device, server: Simulator, repository: SignedRepository
) -> None:
    release = repository.add_release("r1", profile=PROFILE, counter=1, padding=400_000)
    server.cut_targets_after = 300_000
    deployment = server.assign(release)
    device.start()
    device.wait(lambda: server.ranges, "asking for a range")
    server.cut_targets_after = None
    device.wait(lambda: deployment.terminal_reports, "ended")
    assert device.current == release.sha256
    assert "bytes=300000-" in server.ranges


def test_a_newer_goal_during_a_download_wins_and_the_part_is_dropped(
    device: Device, server: Simulator, repository: SignedRepository
) -> None:
    slow = repository.add_release("slow", profile=PROFILE, counter=1, padding=3_000_000)
    quick = repository.add_release("quick", profile=PROFILE, counter=2)
    deployment = server.assign(slow, rate_cap_bytes_s=500_000)
    device.start()
    device.wait(lambda: list((device.state / "blobs/partial").glob("*")), "downloading")
    newer = server.assign(quick)
    device.wait(lambda: newer.terminal_reports, "ended")
    assert device.current == quick.sha256
    assert [str(report.phase) for report in deployment.terminal_reports] == ["superseded"]
    assert list((device.state / "blobs/partial").iterdir()) == []


def test_a_deployment_that_the_server_closed_is_abandoned_in_probation(
    device: Device, server: Simulator, repository: SignedRepository
) -> None:
    good = repository.add_release("good", profile=PROFILE, counter=1)
    server.assign(good)
    device.start()
    device.wait(lambda: device.current == good.sha256, "committed")
    next_release = repository.add_release("next", profile=PROFILE, counter=2)
    endless = ProbationLimits(min_frames=1_000_000)
    deployment = server.assign(next_release, probation=endless)
    device.wait(lambda: deployment.phase is DeploymentPhase.PROBATION, "probing")
    server.close(deployment, DeploymentPhase.TIMED_OUT)
    server.assign(good)
    device.wait(lambda: device.running == good.sha256, "back at the old one")
    assert deployment.terminal_reports == []  # the server's own end stands
    assert device.current == good.sha256


def test_a_stale_version_is_adopted_and_the_report_sent_again(
    device: Device, server: Simulator, repository: SignedRepository
) -> None:
    release = repository.add_release("r1", profile=PROFILE, counter=1)
    deployment = server.assign(release)
    deployment.version = 7  # somebody changed it after the goal was made
    assert device.once().returncode == 0
    assert deployment.phases[0] == "acknowledged"
    assert len(deployment.terminal_reports) == 1


def test_a_goal_without_a_deployment_is_reached_silently(
    device: Device, server: Simulator, repository: SignedRepository
) -> None:
    release = repository.add_release("r1", profile=PROFILE, counter=1)
    server.assign(release, with_deployment=False)
    assert device.once().returncode == 0
    assert device.current == release.sha256
    assert not [path for method, path in server.requests if method == "PATCH"]


def _refusal(deployment: Deployment) -> tuple[str, str]:
    (report,) = deployment.terminal_reports
    assert report.error is not None
    return str(report.phase), str(report.error.cause)


def _frames(server: Simulator, sha256: str) -> list[int]:
    bodies = [record.body for _, record in list(server.records)]
    return [
        body.frames
        for body in bodies
        if isinstance(body, Summary) and body.release_sha256 == sha256
    ]
