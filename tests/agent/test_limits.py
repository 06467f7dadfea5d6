"""What an inference child may hold, and who goes first when memory runs out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from device_agent.errors import Rejected
from device_agent.hardware.generic import memory_bytes
from device_agent.inference.limits import Cage, MemoryCell, default_limit_bytes, refuse_if_too_big
from inference_core.contract.release import ReleaseManifest
from inference_core.contract.telemetry import Event
from inference_core.contract.words import FailureCause
from tests.agent.device import PROFILE, Device
from tests.agent.gateway_simulator import Simulator
from tests.agent.signed_repository import SignedRepository


def manifest(repository: SignedRepository, peak_bytes: int) -> ReleaseManifest:
    ref = repository.add_release("r1", profile=PROFILE, counter=1)
    known = ReleaseManifest.model_validate_json(repository.files[repository.target_file(ref)])
    artifacts = {
        model: artifact.model_copy(update={"peak_memory_bytes": peak_bytes})
        for model, artifact in known.artifacts.items()
    }
    return known.model_copy(update={"artifacts": artifacts})


def total() -> int:
    known = memory_bytes()
    assert known is not None
    return known


def test_a_release_that_cannot_fit_beside_the_one_that_runs_is_refused_before_it_is_loaded(
    repository: SignedRepository,
) -> None:
    with pytest.raises(Rejected, match="beside the") as caught:
        refuse_if_too_big(manifest(repository, total() - 1000), 2000)
    assert caught.value.cause is FailureCause.OUT_OF_MEMORY


@pytest.mark.parametrize("resident_bytes", [None, 0, 1000])
def test_a_release_that_just_fits_is_loaded(
    repository: SignedRepository, resident_bytes: int | None
) -> None:
    refuse_if_too_big(manifest(repository, total() - 1000), resident_bytes)


def test_without_a_setting_a_child_may_hold_four_fifths_of_the_box() -> None:
    assert default_limit_bytes() == int(total() * 0.8)


def test_a_resident_that_leaks_is_ended_and_the_cause_is_named(
    device: Device, server: Simulator, repository: SignedRepository
) -> None:
    leaky = repository.add_release(
        "r1", profile=PROFILE, counter=1, behaviour={"leak_bytes_per_run": 4_000_000}
    )
    server.assign(leaky)
    device.start(child_rss_limit_bytes=400_000_000)
    device.wait(lambda: told(server, "inference-down"), "ended")
    assert "out_of_memory" in told(server, "inference-down")[0]
    device.wait(lambda: told(server, "inference-up"), "restarted")


def told(server: Simulator, name: str) -> list[str]:
    bodies = [record.body for _, record in list(server.records)]
    return [body.detail for body in bodies if isinstance(body, Event) and body.name == name]


@pytest.fixture
def cgroup(tmp_path: Path) -> Path:
    """The files of a delegated cgroup, as the kernel lays them out. They do nothing by themselves:
    what a real kernel does with them is its own promise."""
    folder = tmp_path / "sys/system.slice/agent.service"
    folder.mkdir(parents=True)
    (folder / "cgroup.controllers").write_text("cpu memory pids\n")
    (tmp_path / "own").write_text("0::/system.slice/agent.service\n")
    try:
        os.setxattr(folder, "user.delegate", b"1")
    except OSError:
        pytest.skip("this file system knows no extended attributes")
    return folder


def find(tmp_path: Path) -> Cage | None:
    return Cage.find(tmp_path / "sys", tmp_path / "own")


def test_the_agent_moves_into_a_leaf_before_it_divides_its_cgroup(
    tmp_path: Path, cgroup: Path
) -> None:
    assert find(tmp_path) is not None
    assert (cgroup / "agent/cgroup.procs").read_text() == str(os.getpid())
    assert (cgroup / "cgroup.subtree_control").read_text() == "+memory"


def test_a_child_is_held_to_its_limit_with_all_that_it_starts(tmp_path: Path, cgroup: Path) -> None:
    cage = find(tmp_path)
    assert cage is not None
    assert cage.lock_in(4711, 123_456) is not None
    cell = cgroup / "inference-4711"
    assert (cell / "memory.max").read_text() == "123456"
    assert (cell / "memory.oom.group").read_text() == "1"
    assert (cell / "cgroup.procs").read_text() == "4711"


@pytest.mark.parametrize(
    ("events", "killed"), [("oom 3\noom_kill 0\n", False), ("oom_kill 1\n", True)]
)
def test_the_kernel_says_whether_the_limit_was_reached(
    tmp_path: Path, events: str, killed: bool
) -> None:
    (tmp_path / "memory.events").write_text(events)
    assert MemoryCell(tmp_path).has_killed is killed


def test_a_cgroup_that_was_not_handed_over_is_left_alone(tmp_path: Path, cgroup: Path) -> None:
    os.removexattr(cgroup, "user.delegate")
    assert find(tmp_path) is None
    assert not (cgroup / "agent").exists()


@pytest.mark.parametrize("own", ["4:memory:/x\n", "0::/elsewhere\n", ""])
def test_a_box_without_such_a_cgroup_goes_on_without(
    tmp_path: Path, cgroup: Path, own: str
) -> None:
    (tmp_path / "own").write_text(own)
    assert find(tmp_path) is None
