"""A release in the shadow: it sees frames, decides nothing, and can hurt nobody."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from inference_core.contract.device import ShadowLimits
from inference_core.contract.release import TargetRef
from inference_core.contract.serve import ServeJob
from inference_core.contract.telemetry import Event, ShadowSummary
from tests.agent.device import PROFILE, Device
from tests.agent.gateway_simulator import Simulator
from tests.agent.signed_repository import SignedRepository

SEES_SCRATCHES = {"outputs": {"scores": [[[[0]], [[9]]]]}}
ALL_FRAMES = ShadowLimits(share=1, max_cpu_share=64)


class World:
    """A device that judges with a committed release, and what it tells of its shadow."""

    def __init__(self, device: Device, server: Simulator, repository: SignedRepository) -> None:
        self.device, self.server, self.repository = device, server, repository
        self.release = repository.add_release("r1", profile=PROFILE, counter=1)
        server.assign(self.release)
        device.start()
        device.wait(lambda: device.running == self.release.sha256, "running")

    def add(self, name: str, counter: int = 2, **behaviour: Any) -> TargetRef:
        return self.repository.add_release(
            name, profile=PROFILE, counter=counter, behaviour=behaviour
        )

    def cast(self, shadow: TargetRef | None, limits: ShadowLimits = ALL_FRAMES) -> None:
        """Want a release in the shadow, and leave the rest of the goal as it is."""
        with self.server.lock:
            changes = {
                "generation": self.server.goal.generation + 1,
                "shadow": shadow,
                "shadow_limits": limits,
            }
            self.server.goal = self.server.goal.model_copy(update=changes)

    def summaries(self, shadow: TargetRef) -> list[ShadowSummary]:
        return [
            record.body
            for _, record in list(self.server.records)
            if isinstance(record.body, ShadowSummary) and record.body.shadow_sha256 == shadow.sha256
        ]

    def pairs(self, shadow: TargetRef) -> int:
        return sum(summary.pairs for summary in self.summaries(shadow))

    def failures(self) -> list[str | None]:
        return [
            record.body.release_sha256
            for _, record in list(self.server.records)
            if isinstance(record.body, Event) and record.body.name == "shadow-failed"
        ]

    def reported(self) -> str | None:
        return self.server.reports[-1].shadow_sha256

    def pids(self, release: TargetRef) -> list[int]:
        return [pid for pid in self.device.children() if serves(pid) == release.sha256]

    def pid(self, release: TargetRef) -> int:
        (pid,) = self.pids(release)
        return pid


def serves(pid: int) -> str:
    """The release that an inference process was started for."""
    try:
        path = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0--job\0")[1].split(b"\0")[0]
        return ServeJob.model_validate_json(Path(path.decode()).read_bytes()).release_sha256
    except (OSError, IndexError):  # it has just ended
        return ""


@pytest.fixture
def world(device: Device, server: Simulator, repository: SignedRepository) -> World:
    return World(device, server, repository)


def test_a_shadow_tells_how_often_it_differs_and_decides_nothing(world: World) -> None:
    shadow = world.add("r2", **SEES_SCRATCHES)
    world.cast(shadow)
    world.device.wait(lambda: world.pairs(shadow) >= 20, "pairs")
    summaries = world.summaries(shadow)
    assert {summary.release_sha256 for summary in summaries} == {world.release.sha256}
    assert all(summary.only_shadow_fails == summary.pairs for summary in summaries)
    assert all(summary.latency_ms.count == summary.pairs for summary in summaries)
    world.device.wait(lambda: world.reported() == shadow.sha256, "reported")
    assert world.device.running == world.device.current == world.release.sha256
    assert {sample.result.verdict for sample, _ in list(world.server.samples)} <= {"pass"}


def test_a_shadow_is_the_first_to_go_without_and_the_last_to_be_served(world: World) -> None:
    shadow = world.add("r2")
    resident = world.pid(world.release)
    world.cast(shadow)
    world.device.wait(lambda: world.reported() == shadow.sha256, "in the shadow")
    pid = world.pid(shadow)
    assert os.getpriority(os.PRIO_PROCESS, pid) == 19
    assert oom_score_adj(pid) == 1000
    assert 0 < oom_score_adj(resident) < 1000
    assert world.pid(world.release) == resident


def oom_score_adj(pid: int) -> int:
    return int(Path(f"/proc/{pid}/oom_score_adj").read_text())


@pytest.mark.parametrize(
    "behaviour",
    [{"kill_at_run": 5}, {"hang_at_run": 5}, {"kill_at_load": True}, {"fail_at_load": "no"}],
    ids=lambda behaviour: next(iter(behaviour)),
)
def test_a_shadow_that_fails_is_told_of_once_and_the_resident_never_notices(
    device: Device, world: World, behaviour: dict[str, Any]
) -> None:
    resident = world.pid(world.release)
    device.stop()
    device.start(silence_limit_s=2)
    device.wait(lambda: world.pids(world.release), "the resident")
    resident = world.pid(world.release)
    shadow = world.add("r2", **behaviour)
    world.cast(shadow)
    device.wait(world.failures, "told of")
    assert world.failures() == [shadow.sha256]
    device.wait(lambda: world.reported() is None, "out of the shadow")
    assert world.pids(world.release) == [resident]
    assert world.pids(shadow) == []
    assert device.running == world.release.sha256


def test_a_shadow_that_failed_is_not_tried_again_after_a_restart_but_another_one_is(
    device: Device, world: World
) -> None:
    bad, good = world.add("bad", fail_at_load="no"), world.add("good", 3)
    world.cast(bad)
    device.wait(world.failures, "told of")
    device.kill()
    device.start()
    device.wait(lambda: world.pids(world.release), "the resident")
    polls = len(world.server.reports)
    device.wait(lambda: len(world.server.reports) > polls + 5, "a while")
    assert world.pids(bad) == []
    assert world.failures() == [bad.sha256]
    world.cast(good)
    device.wait(lambda: world.reported() == good.sha256, "another one")


def test_a_shadow_survives_the_restart_of_the_agent(device: Device, world: World) -> None:
    shadow = world.add("r2")
    world.cast(shadow)
    device.wait(lambda: world.pairs(shadow), "pairs")
    device.kill()
    world.server.cut_targets_after = 0  # it is on the disk: nothing has to be fetched again
    device.start()
    before = world.pairs(shadow)
    device.wait(lambda: world.pairs(shadow) > before, "more pairs")


def test_a_shadow_that_nobody_signed_never_runs(
    device: Device, world: World, repository: SignedRepository
) -> None:
    shadow = world.add("r2")
    repository.lose_keys("profile-" + PROFILE)
    repository.publish()
    forged = shadow.model_copy(update={"sha256": "e" * 64})
    world.cast(forged)
    device.wait(world.failures, "refused")
    assert world.failures() == [forged.sha256]
    assert not (device.state / "releases" / forged.sha256).exists()
    assert device.running == world.release.sha256


def test_a_shadow_for_another_profile_is_refused_before_anything_is_fetched(world: World) -> None:
    foreign = world.repository.add_release("r9", profile="jetson-fake", counter=9)
    world.cast(foreign)
    world.device.wait(world.failures, "refused")
    assert not any("jetson-fake" in path for _, path in world.server.requests)


def test_a_shadow_makes_room_for_a_candidate_and_comes_back_behind_it(
    device: Device, world: World
) -> None:
    shadow = world.add("r2")
    world.cast(shadow)
    device.wait(lambda: world.reported() == shadow.sha256, "in the shadow")
    slow = world.add("r3", 3, load_s=2)
    world.server.assign(slow, shadow=shadow, shadow_limits=ALL_FRAMES)
    device.wait(lambda: world.pids(slow), "a candidate")
    assert world.pids(shadow) == []
    device.wait(lambda: device.current == slow.sha256, "committed")
    device.wait(lambda: world.reported() == shadow.sha256, "in the shadow again")
    device.wait(
        lambda: any(s.release_sha256 == slow.sha256 for s in world.summaries(shadow)),
        "pairs with the new release",
    )


def test_a_shadow_that_nobody_wants_any_more_ends_and_is_no_longer_kept(
    device: Device, world: World
) -> None:
    shadow = world.add("r2")
    world.cast(shadow)
    device.wait(lambda: world.reported() == shadow.sha256, "in the shadow")
    world.cast(None)
    device.wait(lambda: not world.pids(shadow), "ended")
    device.wait(lambda: not (device.state / "releases" / shadow.sha256).exists(), "dropped")
    assert device.current == world.release.sha256


def test_a_shadow_keeps_to_its_processor_time(device: Device, world: World) -> None:
    shadow = world.add("r2")
    world.cast(shadow, ShadowLimits(share=1, max_cpu_share=0.0001))
    device.wait(lambda: world.reported() == shadow.sha256, "in the shadow")
    device.wait(lambda: world.summaries(shadow), "frames")
    polls = len(world.server.reports)
    device.wait(lambda: len(world.server.reports) > polls + 30, "some seconds")
    frames = sum(summary.pairs + summary.skipped for summary in world.summaries(shadow))
    assert frames < 60  # of more than 300


def test_a_shadow_that_hangs_leaves_no_frames_behind(device: Device, world: World) -> None:
    shadow = world.add("r2")
    world.cast(shadow)
    device.wait(lambda: world.pairs(shadow), "pairs")
    pid = world.pid(shadow)
    os.kill(pid, signal.SIGSTOP)
    try:
        device.wait(lambda: sum(s.skipped for s in world.summaries(shadow)) > 20, "skipped")
        assert len(list((device.state / "share").iterdir())) <= 4
    finally:
        device.wait(world.failures, "noticed")  # and killed, stopped as it is
    assert world.pids(shadow) == []
