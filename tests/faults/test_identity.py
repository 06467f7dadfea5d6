"""A box that was cloned, re-imaged, or is a version behind its server."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from inference_core.contract.release import TargetRef
from tests.agent.device import PROFILE
from tests.agent.gateway_simulator import Answer, Deployment, Simulator
from tests.agent.signed_repository import SignedRepository
from tests.faults.quick import QuickDevice

GOLDEN = Path(__file__).resolve().parents[1] / "contract/golden"


def test_a_box_that_lost_its_key_says_what_is_the_matter_and_goes_on_judging(
    quick: QuickDevice, server: Simulator, repository: SignedRepository
) -> None:
    release = repository.add_release("r1", profile=PROFILE, counter=1)
    _commit(quick, server, release)
    shutil.rmtree(quick.state / "identity")
    quick.switch_on()
    quick.wait(lambda: "this serial belongs to another key" in quick.log, "told")
    quick.wait(quick.children, "inference")
    assert quick.is_on


def test_a_box_that_lost_its_journal_is_where_it_was_and_says_so(
    quick: QuickDevice, server: Simulator, repository: SignedRepository
) -> None:
    release = repository.add_release("r1", profile=PROFILE, counter=1)
    deployment = _commit(quick, server, release)
    for path in quick.state.glob("journal.sqlite*"):
        path.unlink()
    server.reports.clear()
    quick.switch_on()
    quick.wait(lambda: quick.running == release.sha256, "running, and told")
    assert len(deployment.terminal_reports) == 1


def test_a_server_of_tomorrow_is_understood_where_it_says_what_is_known_today(
    quick: QuickDevice, server: Simulator, repository: SignedRepository
) -> None:
    release = repository.add_release("r1", profile=PROFILE, counter=1)
    deployment = server.assign(release)

    def from_tomorrow(path: str, answer: Answer) -> Answer:
        if path != "goal" or answer.status != 200:
            return answer
        goal = json.loads(answer.body) | {"colour": "mauve", "mood": {"of": ["the", "day"]}}
        return Answer(200, json.dumps(goal).encode(), answer.headers)

    server.interferes = from_tomorrow
    quick.switch_on()
    quick.wait(lambda: deployment.terminal_reports, "ended")
    assert quick.current == release.sha256


def test_a_server_of_yesterday_whose_goal_knows_no_later_field_is_followed(
    quick: QuickDevice, server: Simulator, repository: SignedRepository
) -> None:
    release = repository.add_release("r1", profile=PROFILE, counter=1)
    deployment = server.assign(release)
    golden = json.loads((GOLDEN / "Goal.v1.json").read_text())
    del golden["shadow"]  # of a release that this repository has not
    ours = ("generation", "release", "deployment", "config", "probation", "poll_s")

    def from_yesterday(path: str, answer: Answer) -> Answer:
        if path != "goal" or answer.status != 200:
            return answer
        goal = json.loads(answer.body)
        asked = golden | {name: goal[name] for name in ours}
        return Answer(200, json.dumps(asked).encode(), answer.headers)

    server.interferes = from_yesterday
    quick.switch_on()
    quick.wait(lambda: deployment.terminal_reports, "ended")
    assert quick.current == release.sha256


def _commit(quick: QuickDevice, server: Simulator, release: TargetRef) -> Deployment:
    deployment = server.assign(release)
    quick.switch_on()
    quick.wait(lambda: deployment.terminal_reports, "committed")
    quick.switch_off()
    return deployment
