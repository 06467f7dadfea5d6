"""An inference child that dies: the agent lives and starts it again."""

from __future__ import annotations

import os
import signal

import pytest

from inference_core.contract.device import ProbationLimits
from inference_core.contract.telemetry import Summary
from inference_core.contract.words import DeploymentPhase
from tests.agent.device import PROFILE, Device
from tests.agent.gateway_simulator import Simulator
from tests.agent.signed_repository import SignedRepository
from tests.faults.evidence import bodies, event_names
from tests.faults.quick import LITTLE_CHILD, QuickDevice


def test_a_child_that_dies_is_started_again(
    device: Device, server: Simulator, repository: SignedRepository
) -> None:
    server.assign(repository.add_release("r1", profile=PROFILE, counter=1))
    device.start()
    device.wait(lambda: device.current and device.children(), "running")
    first = device.children()
    device.kill_children()
    device.wait(lambda: device.children() not in ([], first), "running again")
    device.wait(lambda: {"inference-down", "inference-up"} <= event_names(server), "told")


def test_a_signal_stops_the_agent_and_its_child(
    device: Device, server: Simulator, repository: SignedRepository
) -> None:
    server.assign(repository.add_release("r1", profile=PROFILE, counter=1))
    device.start()
    device.wait(lambda: device.current and device.children(), "running")
    assert device.stop() == 0
    assert device.children() == []


def test_a_candidate_that_is_killed_on_probation_is_given_up_and_the_old_one_never_stopped(
    device: Device, server: Simulator, repository: SignedRepository
) -> None:
    old, new = (repository.add_release(f"r{n}", profile=PROFILE, counter=n) for n in (1, 2))
    server.assign(old)
    device.start()
    device.wait(lambda: device.current and device.children(), "running")
    (resident,) = device.children()
    deployment = server.assign(new, probation=ProbationLimits(min_frames=100_000))
    device.wait(lambda: deployment.phase is DeploymentPhase.PROBATION, "on probation")
    (candidate,) = set(device.children()) - {resident}
    os.kill(candidate, signal.SIGKILL)
    device.wait(lambda: deployment.terminal_reports, "ended")
    (report,) = deployment.terminal_reports
    assert report.error is not None
    assert (str(report.phase), str(report.error.cause)) == ("rolled_back", "crashed")
    assert (device.current, device.children()) == (old.sha256, [resident])


ODD_CHILDREN = {
    "prints garbage": "os.write(1, b'no event at all\\n' * 50)",
    "floods stdout with one huge line": "os.write(1, b'x' * 9_000_000 + b'\\n')",
    "floods stderr": "os.write(2, b'warning\\n' * 500_000)",
    "prints bytes that are no text": "os.write(1, bytes(range(256)) * 100 + b'\\n')",
}


@pytest.mark.parametrize("what", ODD_CHILDREN)
def test_a_child_that_talks_nonsense_between_its_verdicts_is_heard_all_the_same(
    quick: QuickDevice, server: Simulator, repository: SignedRepository, what: str
) -> None:
    release = repository.add_release("r1", profile=PROFILE, counter=1)
    deployment = server.assign(release)
    quick.switch_on(child_args=_odd_child(quick, ODD_CHILDREN[what]))
    quick.wait(lambda: deployment.terminal_reports, "ended")
    assert [str(report.phase) for report in deployment.terminal_reports] == ["committed"]
    quick.wait(lambda: bodies(server, Summary), "judging parts")
    assert len(quick.log) < 20_000


@pytest.mark.parametrize("how", ["while starting", "after it was told to stop"])
def test_a_child_that_hangs_does_not_keep_the_agent_from_stopping(
    quick: QuickDevice, server: Simulator, repository: SignedRepository, how: str
) -> None:
    server.assign(repository.add_release("r1", profile=PROFILE, counter=1))
    quick.switch_on()
    quick.wait(lambda: quick.current and quick.children(), "running")
    quick.switch_off()
    hangs = "time.sleep(3600)" if how == "while starting" else _IGNORES_STOP
    quick.switch_on(child_args=_odd_child(quick, hangs), silence_limit_s=60)
    quick.wait(quick.children, "started")
    quick.switch_off()
    assert quick.children() == []


def test_a_child_whose_agent_was_killed_leaves_the_camera_by_itself(
    device: Device, server: Simulator, repository: SignedRepository
) -> None:
    server.assign(repository.add_release("r1", profile=PROFILE, counter=1))
    device.start()
    device.wait(lambda: device.current and device.children(), "running")
    device.kill()
    device.wait(lambda: not device.children(), "gone with its agent")


def test_a_hanging_child_of_a_killed_agent_is_ended_before_another_is_started(
    quick: QuickDevice, server: Simulator, repository: SignedRepository
) -> None:
    server.assign(repository.add_release("r1", profile=PROFILE, counter=1))
    quick.switch_on()
    quick.wait(lambda: quick.current and quick.children(), "running")
    (hanging,) = quick.children()
    os.kill(hanging, signal.SIGSTOP)
    quick.kill_agent()
    assert quick.children() == [hanging]
    quick.switch_on()
    quick.wait(lambda: quick.children() not in ([], [hanging]), "another one runs")
    assert len(quick.children()) == 1


def test_a_release_that_dies_after_its_commit_is_told_and_started_again_with_patience(
    quick: QuickDevice, server: Simulator, repository: SignedRepository
) -> None:
    release = repository.add_release("r1", profile=PROFILE, counter=1)
    server.assign(release)
    quick.switch_on()
    quick.wait(lambda: quick.current and quick.children(), "running")
    quick.kill_children()
    quick.wait(quick.children, "running again")
    quick.wait(lambda: {"inference-down", "inference-up"} <= event_names(server), "told")
    assert quick.current == release.sha256


_IGNORES_STOP = """
import json, signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
job = json.load(open(sys.argv[-1]))
ready = {"event": "ready", "release_sha256": job["release_sha256"], "load_ms": 1, "rss_bytes": 1}
os.write(1, json.dumps(ready).encode() + b"\\n")
time.sleep(3600)
"""


def _odd_child(quick: QuickDevice, oddity: str) -> list[str]:
    """The little child, after it has done something odd."""
    script = quick.state.parent / "odd_child.py"
    little = f"exec(compile(open({LITTLE_CHILD!r}).read(), 'child', 'exec'))\n"
    script.write_text(f"import os, sys, time\n{oddity}\n{little}")
    return ["-I", "-S", str(script)]
