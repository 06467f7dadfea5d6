"""Golden cases on the device: nothing unsigned is loaded, and whatever matters more comes first."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from device_agent.admission import Device as Admitted
from device_agent.admission import SignedTarget, judge_leased
from device_agent.errors import Rejected
from inference_core.contract.golden import PipelineJob
from inference_core.contract.release import artifact_path
from inference_core.contract.telemetry import Summary
from inference_core.contract.words import RuntimeName
from inference_core.datasets import read_dataset
from tests.agent.device import PROFILE, Device
from tests.agent.gateway_simulator import Simulator
from tests.agent.offered_build import works_at
from tests.agent.offered_check import OfferedCheck
from tests.agent.signed_repository import SignedRepository
from tests.core.build_jobs import make_profile
from tests.core.golden.checks import DARK, FAINT, FINE, make_job, write_patches


class World:
    """A device that judges parts, and golden cases that it may be offered."""

    def __init__(
        self, device: Device, server: Simulator, repository: SignedRepository, folder: Path
    ) -> None:
        self.device, self.server, self.repository = device, server, repository
        golden = write_patches(folder / "golden", {"fine": FINE, "dark": DARK, "faint": FAINT})
        profile = {**make_profile(), "name": PROFILE}
        self.job: PipelineJob = make_job(folder, golden, profile=profile)
        self.golden_sha256 = read_dataset(golden).sha256
        self.check = OfferedCheck(self.job, lease_s=2.0)
        self.release = repository.add_release("r1", profile=PROFILE, counter=1)
        server.assign(self.release)

    def sign_artifact(self, **custom: Any) -> None:
        (model,) = self.job.models.values()
        content = Path(model.artifact_path).read_bytes()
        self.repository.add_artifact(content, profile=PROFILE, **custom)

    def start(self, **changes: Any) -> None:
        self.device.start(**{"may_build": True} | changes)
        self.device.wait(lambda: self.device.current == self.release.sha256, "committed")

    def offer(self) -> None:
        self.server.check = self.check
        with self.server.lock:
            goal = self.server.goal
            changes = {"generation": goal.generation + 1, "deployment": None}
            self.server.goal = goal.model_copy(update={**changes, "check": self.check.offer})

    def hold(self) -> int:
        """Wait for the child that judges and stop it there, in the middle of its work."""
        self.device.wait(self.judge, "judging")
        pid = self.judge()
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        return pid

    def judge(self) -> int | None:
        return min(
            (pid for pid in self.device.children() if works_at("certify", pid)), default=None
        )

    def frames(self) -> int:
        bodies = [record.body for _, record in list(self.server.records)]
        return sum(body.frames for body in bodies if isinstance(body, Summary))

    def judges_on(self) -> None:
        before = self.frames()
        self.device.wait(lambda: self.frames() > before, "more parts are judged")

    def is_left_clean(self) -> bool:
        folder = self.device.state / "build"
        return not (folder / "work").exists() and not (folder / "turn.json").exists()


@pytest.fixture
def world(device: Device, server: Simulator, repository: SignedRepository, tmp_path: Path) -> World:
    return World(device, server, repository, tmp_path)


def test_it_judges_signed_artifacts_while_parts_are_judged_and_tells_every_case(
    world: World,
) -> None:
    world.sign_artifact(runtime="onnxruntime")
    world.start()
    world.offer()
    device, check, pid = world.device, world.check, world.hold()
    device.wait(lambda: os.sched_getscheduler(pid) == os.SCHED_IDLE, "last in every queue")
    world.judges_on()
    device.wait(lambda: check.beats, "a heartbeat")
    os.kill(pid, signal.SIGCONT)
    device.wait(lambda: check.outcomes, "delivered")
    (outcome,) = check.outcomes
    assert outcome.outcome == "succeeded", outcome.reason
    assert outcome.certificate is not None
    assert outcome.certificate.golden[0].sha256 == world.golden_sha256
    assert [case.artifact.value for case in outcome.certificate.cases] == ["pass", "fail", "fail"]
    assert set(check.fetched) == set(check.files)
    device.wait(world.is_left_clean, "nothing left behind")
    world.judges_on()
    assert (device.running, check.leases, check.returned) == (world.release.sha256, 1, [])


def test_an_artifact_that_nobody_signed_is_never_fetched_and_the_turn_given_back(
    world: World,
) -> None:
    world.start()
    world.offer()
    world.device.wait(lambda: world.check.returned, "given back")
    assert "nobody with a trusted key has signed" in world.check.returned[0]
    assert (world.check.fetched, world.check.outcomes) == ([], [])
    world.device.wait(world.is_left_clean, "nothing left behind")


@pytest.mark.parametrize(
    ("signed", "why"),
    [
        ({"length": 1}, "is not the file that the server asks for"),
        ({"profile": "another"}, "is built for another"),
        ({"kind": "certificate"}, "is signed as certificate"),
        ({"runtime": "openvino"}, "was signed with runtime openvino"),
        ({"source_sha256": "0" * 64}, "was signed with source 000"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_is_signed_as_something_else_is_not_judged(
    tmp_path: Path, signed: dict[str, Any], why: str
) -> None:
    golden = write_patches(tmp_path / "golden", {"fine": FINE})
    check = OfferedCheck(make_job(tmp_path, golden))
    (model,) = check.models.values()
    length = signed.pop("length", model.artifact_length)
    custom = {"kind": "artifact", "profile": PROFILE, "runtime": "onnxruntime"} | signed
    path = artifact_path(PROFILE, model.artifact_sha256)
    target = SignedTarget(path, length, {"sha256": model.artifact_sha256}, custom)
    with pytest.raises(Rejected, match=why):
        judge_leased(model, RuntimeName.ONNXRUNTIME, target, Admitted(PROFILE, 0))


def test_a_deployment_ends_it_at_once(world: World) -> None:
    world.sign_artifact()
    world.start()
    world.offer()
    pid, device = world.hold(), world.device
    newer = world.repository.add_release("r2", profile=PROFILE, counter=2)
    world.server.assign(newer, check=world.check.offer)
    device.wait(lambda: world.check.returned, "given back")
    assert world.check.returned == ["a deployment is in hand"]
    device.wait(lambda: device.current == newer.sha256, "the deployment went on")
    assert pid not in device.children()
    device.wait(world.is_left_clean, "nothing left behind")


def test_a_killed_child_is_told_of_and_a_power_cut_leaves_nothing(world: World) -> None:
    world.sign_artifact()
    world.start()
    world.offer()
    os.kill(world.hold(), signal.SIGKILL)
    device = world.device
    device.wait(lambda: world.check.returned, "given back")
    assert world.check.returned == ["the check was killed by SIGKILL"]

    world.check = OfferedCheck(world.job, turn=2, lease_s=2.0)
    world.offer()
    pid = world.hold()
    device.kill()
    assert (device.state / "build" / "work" / "job.json").exists()
    device.start(may_build=True)
    device.wait(lambda: world.check.returned, "given back")
    assert world.check.returned == ["the agent was interrupted while it judged golden cases"]
    device.wait(world.is_left_clean, "swept")
    assert pid not in device.children()
    assert (world.check.leases, world.check.outcomes) == (1, [])
