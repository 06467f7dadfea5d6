"""A committed release that only dies: the box goes back by itself, and stays there."""

from __future__ import annotations

from pathlib import Path

import pytest

from device_agent.deployment import Step
from device_agent.journal import Journal
from inference_core.contract.device import Goal
from inference_core.contract.release import TargetRef
from inference_core.contract.telemetry import Event
from inference_core.contract.words import DeploymentPhase
from tests.agent.device import PROFILE, Device
from tests.agent.gateway_simulator import Simulator
from tests.agent.signed_repository import SignedRepository
from tests.agent.test_plan import goal

DIES_LATE = {"kill_at_run": 25}
"""Late enough to be committed after five frames."""


def condemned(server: Simulator) -> list[str | None]:
    return [
        record.body.release_sha256
        for _, record in list(server.records)
        if isinstance(record.body, Event) and record.body.name == "release-condemned"
    ]


@pytest.mark.parametrize("with_deployment", [True, False], ids=["deployed", "ordered"])
def test_a_committed_release_that_only_dies_is_left_for_the_one_before_it_and_not_brought_back(
    device: Device, server: Simulator, repository: SignedRepository, with_deployment: bool
) -> None:
    good = repository.add_release("r1", profile=PROFILE, counter=1)
    server.assign(good)
    device.start(restart_deaths=3)
    device.wait(lambda: device.current == good.sha256, "committed")
    bad = repository.add_release("r2", profile=PROFILE, counter=2, behaviour=dict(DIES_LATE))
    server.assign(bad, with_deployment=with_deployment)
    device.wait(lambda: device.current == bad.sha256, "committed, as it looked good")
    device.wait(lambda: condemned(server), "condemned")
    device.wait(lambda: device.running == good.sha256, "the good one")
    with server.lock:  # a goal that is only counted anew wants nothing new
        generation = server.goal.generation + 1
        server.goal = server.goal.model_copy(update={"generation": generation})
    device.wait(lambda: server.reports[-1].generation == generation, "the new generation")
    device.kill()
    device.start(restart_deaths=3)
    polls = len(server.reports)
    device.wait(lambda: len(server.reports) > polls + 10, "a while")
    assert device.current == good.sha256
    assert condemned(server) == [bad.sha256]


def test_without_a_release_before_it_restarting_goes_on(
    device: Device, server: Simulator, repository: SignedRepository
) -> None:
    only = repository.add_release("r1", profile=PROFILE, counter=1, behaviour=dict(DIES_LATE))
    server.assign(only)
    device.start(restart_deaths=2)
    device.wait(lambda: device.log.count("inference died") >= 4, "several deaths")
    assert device.current == only.sha256
    assert condemned(server) == []


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal.open(tmp_path / "journal.sqlite")


def commit(journal: Journal, wanted: Goal) -> str:
    assert wanted.release
    journal.remember_goal(wanted, None)
    journal.take(wanted, None)
    journal.end(DeploymentPhase.COMMITTED, wanted.release.sha256)
    return wanted.release.sha256


@pytest.mark.parametrize("deployed", [True, False])
def test_a_condemned_release_has_ended_badly_for_whoever_committed_it(
    journal: Journal, deployed: bool
) -> None:
    wanted = goal(deployed=deployed)
    sha256 = commit(journal, wanted)
    journal.condemn(sha256, "b" * 64, "it died")
    again = wanted.model_copy(update={"generation": 7})
    assert journal.endings.phase_of(wanted) is DeploymentPhase.ROLLED_BACK
    assert journal.endings.phase_of(again) is DeploymentPhase.ROLLED_BACK
    assert journal.endings.phase_of(again.model_copy(update={"deployment": None})) is not None


def test_a_new_deployment_may_try_a_condemned_release_again(journal: Journal) -> None:
    sha256 = commit(journal, goal())
    journal.condemn(sha256, "b" * 64, "it died")
    retry = goal(generation=2)
    assert journal.endings.phase_of(retry) is None
    commit(journal, retry)
    order = goal(generation=3, deployed=False)
    assert journal.endings.phase_of(order) is None  # it has redeemed itself


def test_whoever_is_in_hand_does_not_go_back_to_a_condemned_release(journal: Journal) -> None:
    sha256 = commit(journal, goal())
    target = TargetRef(path="p/releases/n.json", sha256="c" * 64, length=1)
    journal.take(goal(generation=2).model_copy(update={"release": target}), sha256)
    journal.enter(Step.DOWNLOAD)
    journal.condemn(sha256, "b" * 64, "it died")
    hand = journal.hand
    assert hand is not None
    assert (hand.old_sha256, hand.step) == ("b" * 64, Step.DOWNLOAD)
