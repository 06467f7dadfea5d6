"""The poller's pace: what the server wants, sooner for a bell."""

from __future__ import annotations

from pathlib import Path

from device_agent.config import Config
from device_agent.poller import Poller


def make_poller(folder: Path, answers: list[str], hurries_during: str = "") -> Poller:
    """Each question appends its number; the bell rings during the one that is named."""

    def ask() -> float:
        answers.append(str(len(answers) + 1))
        if answers[-1] == hurries_during:
            poller.hurry()
        return 3600.0

    poller = Poller(Config(server_url="http://127.0.0.1:1", data_dir=folder), ask)
    return poller


def test_it_asks_once_and_then_at_the_servers_pace(tmp_path: Path) -> None:
    asked: list[str] = []
    poller = make_poller(tmp_path, asked)
    poller.poll_when_due()
    poller.poll_when_due()
    assert asked == ["1"]
    assert poller.wait_s > 3000


def test_a_bell_is_one_more_question(tmp_path: Path) -> None:
    asked: list[str] = []
    poller = make_poller(tmp_path, asked)
    for _ in range(3):
        poller.poll_when_due()
        poller.poll_when_due()
        poller.hurry()
    assert asked == ["1", "2", "3"]
    assert poller.wait_s == 0


def test_a_bell_while_a_question_is_under_way_is_not_lost(tmp_path: Path) -> None:
    asked: list[str] = []
    poller = make_poller(tmp_path, asked, hurries_during="1")
    for _ in range(3):
        poller.poll_when_due()
    assert asked == ["1", "2"]
