"""A build on the device: it makes room for everything else, and nothing half made leaves it."""

from __future__ import annotations

import hashlib
import os
import signal
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from device_agent.building import abilities
from device_agent.building.abilities import Pace, what_is_missing
from device_agent.building.calls import TurnCalls
from device_agent.building.child import TurnChild
from device_agent.building.materials import Bringer, Materials, _inside
from device_agent.building.surroundings import Surroundings
from device_agent.building.works import BuildWork
from device_agent.config import Config
from device_agent.errors import Rejected, Unavailable
from device_agent.hardware.facts import read_facts
from device_agent.identity import Identity
from device_agent.journal import Journal
from device_agent.screen import draw
from device_agent.status import BuildStatus, Status, read_status
from inference_core.contract.build import BuildJob
from inference_core.contract.device import BuildOffer, EnrolmentRequest, Goal
from inference_core.contract.device_build import BuildFile
from inference_core.contract.results import FrameResult
from inference_core.contract.serve import FrameDone
from inference_core.contract.telemetry import Health, Summary
from inference_core.contract.window import UpdateWindow
from inference_core.contract.words import RuntimeName
from tests.agent.device import PROFILE, Device
from tests.agent.gateway_simulator import ENROLMENT_TOKEN, Answer, Simulator
from tests.agent.offered_build import OfferedBuild, works_at
from tests.agent.signed_repository import SignedRepository
from tests.core.build_jobs import make_job
from tests.core.onnx_models import brightness_model


class World:
    """A device that judges parts, and a build that it may be offered."""

    def __init__(
        self, device: Device, server: Simulator, repository: SignedRepository, folder: Path
    ) -> None:
        self.device, self.server, self.repository = device, server, repository
        self.build = OfferedBuild(make_job(folder, brightness_model()), lease_s=2.0)
        self.release = repository.add_release("r1", profile=PROFILE, counter=1)
        server.assign(self.release)

    def start(self, **changes: Any) -> None:
        self.device.start(**{"may_build": True} | changes)
        self.device.wait(lambda: self.device.current == self.release.sha256, "committed")

    def offer(self, **goal: Any) -> None:
        self.server.build = self.build
        self.want(build=self.build.offer, **goal)

    def want(self, **changes: Any) -> None:
        with self.server.lock:
            generation = self.server.goal.generation + 1
            changes = {"generation": generation, "deployment": None, **changes}
            self.server.goal = self.server.goal.model_copy(update=changes)

    def builder(self) -> int | None:
        """The child that builds, not one of its own children."""
        found = [pid for pid in self.device.children() if works_at("build", pid)]
        return min(found, default=None)

    def hold(self) -> int:
        """Wait for the child that builds and stop it there, in the middle of its work."""
        self.device.wait(self.builder, "building")
        pid = self.builder()
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        return pid

    def frames(self) -> int:
        """Parts that were judged and told of."""
        bodies = [record.body for _, record in list(self.server.records)]
        return sum(body.frames for body in bodies if isinstance(body, Summary))

    def judges_on(self) -> None:
        before = self.frames()
        self.device.wait(lambda: self.frames() > before, "more parts are judged")

    @property
    def work(self) -> Path:
        return self.device.state / "build" / "work"

    def is_left_clean(self) -> bool:
        return not self.work.exists() and not (self.device.state / "build/turn.json").exists()


@pytest.fixture
def world(device: Device, server: Simulator, repository: SignedRepository, tmp_path: Path) -> World:
    return World(device, server, repository, tmp_path)


def test_it_builds_and_delivers_while_parts_are_judged_before_during_and_after(
    world: World,
) -> None:
    world.start()
    device, build = world.device, world.build
    world.judges_on()
    assert world.server.reports[-1].may_build
    world.offer()
    pid = world.hold()
    device.wait(lambda: os.sched_getscheduler(pid) == os.SCHED_IDLE, "last in every queue")
    assert os.getpriority(os.PRIO_PROCESS, pid) == 19
    assert Path(f"/proc/{pid}/oom_score_adj").read_text().strip() == "1000"
    world.judges_on()
    device.wait(lambda: (s := read_status(device.state)) and s.build, "the status tells of it")
    device.wait(lambda: build.beats, "a heartbeat")
    os.kill(pid, signal.SIGCONT)
    device.wait(lambda: build.outcomes, "delivered")
    outcome = build.outcomes[0]
    assert outcome.outcome == "succeeded", outcome.reason
    assert outcome.certificate is not None
    assert outcome.certificate.artifact_sha256 == hashlib.sha256(build.artifact).hexdigest()
    assert outcome.artifact_path is None
    device.wait(world.is_left_clean, "nothing left behind")
    world.judges_on()
    assert (device.running, build.leases) == (world.release.sha256, 1)


def test_a_deployment_ends_the_build_at_once_and_it_is_given_back(world: World) -> None:
    world.start()
    world.offer()
    pid = world.hold()
    newer = world.repository.add_release("r2", profile=PROFILE, counter=2)
    world.server.assign(newer, build=world.build.offer)
    device = world.device
    device.wait(lambda: world.build.returned, "given back")
    assert world.build.returned == ["a deployment is in hand"]
    device.wait(lambda: pid not in device.children(), "the child is gone")
    device.wait(lambda: device.current == newer.sha256, "the deployment went on")
    assert not world.build.outcomes


def test_a_window_that_closes_ends_the_build(world: World) -> None:
    world.start()
    world.offer()
    world.hold()
    now = datetime.now(timezone.utc)
    slot = {"starts_at": f"{now - timedelta(hours=3):%H:%M}", "duration_min": 60}
    world.want(window=UpdateWindow.model_validate({"slots": [slot]}))
    world.device.wait(lambda: world.build.returned, "given back")
    assert world.build.returned == ["the update window of the line is closed"]


def test_a_power_cut_in_a_build_ends_it_here_and_nothing_of_it_is_sent(world: World) -> None:
    world.start()
    world.offer()
    pid = world.hold()
    world.device.kill()
    assert world.work.exists()
    world.device.start(may_build=True)
    world.device.wait(lambda: world.build.returned, "given back")
    assert world.build.returned == ["the agent was interrupted while it built"]
    world.device.wait(world.is_left_clean, "swept")
    world.judges_on()
    assert pid not in world.device.children()
    assert world.build.leases == 1  # the same offer is not taken again
    assert not world.build.artifact


def test_a_server_that_is_away_gets_the_result_when_it_is_back(world: World) -> None:
    world.start()
    world.offer()
    pid = world.hold()
    world.server.is_down = True
    os.kill(pid, signal.SIGCONT)
    device = world.device
    device.wait(lambda: "the server of the build: lost" in device.log, "missed")
    device.wait(lambda: pid not in device.children(), "built")
    assert not world.build.outcomes
    world.server.is_down = False
    device.wait(lambda: world.build.outcomes, "delivered")
    assert not world.build.returned


def test_a_result_whose_lease_was_lost_meanwhile_is_dropped(world: World) -> None:
    world.start()
    world.offer()
    pid = world.hold()
    world.build.is_lost = True
    world.device.wait(lambda: "is lost" in world.device.log, "noticed")
    world.device.wait(world.is_left_clean, "dropped")
    assert pid not in world.device.children()
    assert not world.build.artifact


def test_an_upload_that_breaks_off_goes_on_where_it_was(world: World) -> None:
    """The first answer to a piece never comes: what it brought is not sent twice."""
    lost: list[str] = []

    def lose_the_first(path: str, answer: Answer) -> Answer | None:
        if path.endswith("/artifact") and world.build.artifact and not lost:
            lost.append(path)
            return None
        return answer

    world.server.interferes = lose_the_first
    world.start()
    world.offer()
    world.device.wait(lambda: world.build.outcomes, "delivered")
    assert lost
    digest = hashlib.sha256(world.build.artifact).hexdigest()
    assert digest == world.build.outcomes[0].artifact_sha256


def test_a_device_that_may_not_build_is_not_willing_and_declines(world: World) -> None:
    world.start(may_build=False)
    world.offer()
    world.device.wait(lambda: world.build.declined, "declined")
    assert world.build.declined == ["may_build is off in the settings of this device"]
    assert not world.server.reports[-1].may_build
    assert world.build.leases == 0


def test_a_disk_without_room_declines_before_anything_is_fetched(world: World) -> None:
    world.start(disk_reserve_bytes=0)
    offer = world.build.offer.model_copy(update={"download_bytes": 1 << 50})
    world.server.build = world.build
    world.want(build=offer)
    world.device.wait(lambda: world.build.declined, "declined")
    assert "bytes of disk" in world.build.declined[0]
    assert world.build.fetched == []


def test_a_build_that_takes_too_much_memory_is_ended_and_given_back(world: World) -> None:
    world.start(build_memory_bytes=1_000_000)
    world.offer()
    world.device.wait(lambda: world.build.returned, "given back")
    assert "memory" in world.build.returned[0] or "killed" in world.build.returned[0]
    world.judges_on()


def test_what_is_missing_is_said_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    assert what_is_missing(RuntimeName.ONNXRUNTIME) is None
    real = abilities.importlib.util.find_spec
    hidden = {"onnx", "tensorrt", "tensorrt_rtx"}
    monkeypatch.setattr(
        abilities.importlib.util, "find_spec", lambda name: None if name in hidden else real(name)
    )
    said = what_is_missing(RuntimeName.TENSORRT)
    assert said is not None
    assert said.startswith("needs: pip install 'linewarden[build]'")
    assert "onnx, tensorrt or tensorrt_rtx" in said


def test_late_frames_speak_against_building_and_few_do_not() -> None:
    pace = Pace()
    for latency_ms in (5.0, 50.0, 50.0):
        pace.take(frame(latency_ms))
    assert pace.problem is None
    pace.take(frame(50.0))
    assert pace.problem == "parts are judged too late: 3 of the last 20 frames"
    for _ in range(20):
        pace.take(frame(5.0))
    assert pace.problem is None


def frame(latency_ms: float) -> FrameDone:
    result = FrameResult(
        camera="top",
        sequence=1,
        source="part.png",
        captured_at=datetime.now(timezone.utc),
        width=4,
        height=4,
        verdict="pass",
        stages=(),
        latency_ms=latency_ms,
        budget_ms=10.0,
    )
    return FrameDone(result=result)


@pytest.mark.parametrize("path", ["../out", "images/../../out", "a/.."])
def test_a_set_cannot_choose_a_place_outside_its_folder(tmp_path: Path, path: str) -> None:
    with pytest.raises(Rejected, match="no path within a set"):
        _inside(tmp_path, BuildFile(path=path, sha256="0" * 64))


class Fetching:
    """What a build is given, fetched by the agent's own calls, without an agent around them."""

    def __init__(self, server: Simulator, folder: Path) -> None:
        config = Config(server_url=server.url, data_dir=folder / "state", disk_reserve_bytes=0)
        identity = Identity(folder / "state" / "identity")
        calls = TurnCalls(config, identity)
        request = EnrolmentRequest(
            token=ENROLMENT_TOKEN,
            serial="box-1",
            public_key=identity.public_key,
            facts=read_facts(),
        )
        identity.remember(calls.enrol(request))
        self.build = OfferedBuild(make_job(folder, brightness_model()))
        server.build = self.build
        self.lease = calls.lease_build(self.build.turn)
        self.work = folder / "work"
        place = f"builds/{self.build.turn}"
        bringer = Bringer(config, calls, place, self.work, breathe=lambda: None)
        self.materials = Materials(bringer, self.lease)


@pytest.fixture
def fetching(server: Simulator, tmp_path: Path) -> Fetching:
    return Fetching(server, tmp_path)


def test_a_model_whose_transfer_broke_off_is_resumed_by_range(fetching: Fetching) -> None:
    lease, content = fetching.lease, fetching.build.files[fetching.lease.source_sha256]
    (fetching.work / "partial" / f"{lease.source_sha256}.part").write_bytes(content[:40])
    job = BuildJob.model_validate_json(fetching.materials.bring(None).read_bytes())
    assert fetching.build.ranges == ["bytes=40-"]
    assert Path(job.model_path).read_bytes() == content
    assert (job.golden_sha256, job.limits) == (lease.golden.sha256, lease.limits)
    wanted = {file.sha256 for file in (*lease.golden.files, *lease.calibration.files)}
    assert set(fetching.build.fetched) == {lease.source_sha256, *wanted}


def test_after_a_break_only_what_is_missing_comes(fetching: Fetching) -> None:
    fetching.materials.bring(None)
    (fetching.work / "golden" / "labels.jsonl").unlink()
    fetching.build.fetched.clear()
    fetching.materials.bring(None)
    assert len(fetching.build.fetched) == 1


def test_a_file_that_is_not_what_was_named_is_never_kept(fetching: Fetching) -> None:
    name = fetching.lease.golden.files[0]
    fetching.build.files[name.sha256] = b"something else"
    with pytest.raises(Unavailable, match="did not arrive as it was named"):
        fetching.materials.bring(None)
    assert not (fetching.work / "golden" / name.path).exists()


def test_a_set_that_never_ends_is_cut_off(fetching: Fetching) -> None:
    name = fetching.lease.golden.files[-1]
    fetching.build.files[name.sha256] = bytes(fetching.lease.golden.length + 1)
    with pytest.raises(Rejected, match="larger than its whole set"):
        fetching.materials.bring(None)


def test_a_technician_sees_how_far_the_build_is() -> None:
    now = datetime.now(timezone.utc)
    status = Status(
        at=now,
        pid=1,
        server_url="https://fleet.example.com",
        serial="box-1",
        build=BuildStatus(build=12, step="parity", share=0.5),
    )
    assert "[##########..........] 50%  parity (build 12)" in draw(status, is_running=True)
    assert "parity" not in draw(status, is_running=False)


def test_a_child_without_an_outcome_says_why_it_ended(tmp_path: Path) -> None:
    job = tmp_path / "job.json"
    job.write_text("{}")
    child = TurnChild(sys.executable, BuildWork, job, os.environ)
    child._process.wait(60)
    child.read()
    assert child.outcome is None
    assert "ended with status 2 and no outcome" in child.why_it_ended()
    assert "job" in child.why_it_ended()
    child.end()


def test_a_child_that_is_killed_says_by_what(tmp_path: Path) -> None:
    job = tmp_path / "job.json"
    job.write_text("{}")
    child = TurnChild(sys.executable, BuildWork, job, os.environ)
    child.end()
    assert child.why_it_ended() == "the build was killed by SIGKILL"


def test_what_speaks_against_a_build_now(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "journal.sqlite")
    config = Config(server_url="http://127.0.0.1:1", data_dir=tmp_path, disk_reserve_bytes=0)
    healths = [Health(throttled=True), Health(throttled=False), None]
    around = Surroundings(config, journal, Pace(), health=lambda: healths.pop(0))
    assert around.obstacle() == "the board slows itself down"
    assert [around.obstacle(), around.obstacle()] == [None, None]
    full = config.model_copy(update={"disk_reserve_bytes": 1 << 60})
    crowded = Surroundings(full, journal, Pace(), health=lambda: None)
    assert "are reserved" in (crowded.obstacle() or "")
    journal.remember_goal(Goal(generation=1), None)
    assert not around.still_wants(3)
    offer = BuildOffer(turn=3, build=9, runtime="onnxruntime", download_bytes=1)
    journal.remember_goal(Goal(generation=1, build=offer), None)
    assert around.still_wants(3)
    assert not around.still_wants(4)
    journal.close()
