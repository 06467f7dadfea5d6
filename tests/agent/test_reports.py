"""Progress reports: numbered, in order, and in step with what the server knows."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from device_agent.deployment import Step
from device_agent.gateway import ProgressAnswer
from device_agent.journal import Journal
from inference_core.contract.device import DeploymentRef, Goal, ProgressError, ProgressReply
from inference_core.contract.release import TargetRef
from inference_core.contract.words import DeploymentPhase, FailureCause

ID = uuid.uuid4()
SHA256 = "a" * 64
GOAL = Goal(
    generation=1,
    release=TargetRef(path="p/releases/r.json", sha256=SHA256, length=1),
    deployment=DeploymentRef(id=ID, version=3),
)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal.open(tmp_path / "journal.sqlite")


def settle(
    journal: Journal, outcome: str, *, seq: int, version: int, phase: DeploymentPhase
) -> bool:
    waiting = journal.reports.next()
    assert waiting is not None
    reply = ProgressReply(version=version, seq=seq, phase=phase)
    return journal.reports.settle(*waiting, ProgressAnswer(outcome, reply))


def test_each_report_expects_the_version_that_the_last_answer_named(journal: Journal) -> None:
    journal.take(GOAL, None)
    journal.enter(Step.DOWNLOAD)
    _, first = journal.reports.next()
    assert (first.seq, first.expected_version, first.phase) == (1, 3, "acknowledged")
    settle(journal, "accepted", seq=1, version=4, phase=DeploymentPhase.ACKNOWLEDGED)
    _, second = journal.reports.next()
    assert (second.seq, second.expected_version, second.phase) == (2, 4, "downloading")


def test_a_report_stays_until_it_is_settled_also_across_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    journal = Journal.open(path)
    journal.take(GOAL, None)
    journal.fail(ProgressError(cause=FailureCause.UNTRUSTED, detail="forged"))
    journal.end(DeploymentPhase.REJECTED, None)
    journal.close()
    journal = Journal.open(path)
    assert journal.reports.count() == 2
    assert journal.hand is None
    assert journal.endings.phase_of(GOAL) is DeploymentPhase.REJECTED


def test_after_a_lost_journal_the_servers_count_is_taken_over(journal: Journal) -> None:
    journal.take(GOAL, None)  # counts from 1, but the server has seen 5 reports
    settle(journal, "accepted", seq=5, version=9, phase=DeploymentPhase.PROBATION)
    _, again = journal.reports.next()
    assert (again.seq, again.expected_version) == (6, 9)


def test_a_phase_that_the_server_does_not_take_is_passed_over(journal: Journal) -> None:
    journal.take(GOAL, None)
    journal.enter(Step.DOWNLOAD)
    settle(journal, "stale", seq=5, version=9, phase=DeploymentPhase.PROBATION)
    settle(journal, "stale", seq=5, version=9, phase=DeploymentPhase.PROBATION)
    _, following = journal.reports.next()
    assert (following.phase, following.seq) == ("downloading", 6)


def test_a_closed_deployment_has_nothing_more_to_say(journal: Journal) -> None:
    journal.take(GOAL, None)
    journal.enter(Step.DOWNLOAD)
    assert not settle(journal, "closed", seq=5, version=9, phase=DeploymentPhase.TIMED_OUT)
    assert journal.reports.next() is None


def test_a_terminal_report_whose_answer_was_lost_is_settled_by_the_repeat(
    journal: Journal,
) -> None:
    journal.take(GOAL, None)
    settle(journal, "accepted", seq=1, version=4, phase=DeploymentPhase.ACKNOWLEDGED)
    journal.end(DeploymentPhase.COMMITTED, SHA256)
    assert settle(journal, "closed", seq=2, version=5, phase=DeploymentPhase.COMMITTED)
    assert journal.reports.next() is None


def test_only_what_is_in_hand_can_be_superseded(journal: Journal) -> None:
    journal.take(GOAL, None)
    journal.supersede("another deployment")
    assert not journal.hand.superseded
    journal.supersede(str(ID))
    assert journal.hand.superseded


def test_a_repair_that_ended_badly_is_not_tried_again(journal: Journal) -> None:
    journal.take(GOAL, None)
    journal.end(DeploymentPhase.COMMITTED, SHA256)
    waiting = journal.reports.count()
    repair = journal.take(GOAL, None)
    assert repair.goal.deployment is None
    journal.end(DeploymentPhase.FAILED, None)
    assert journal.endings.phase_of(GOAL) is DeploymentPhase.FAILED
    assert journal.reports.count() == waiting  # its deployment has had its last word
