"""A box without a battery wakes in 1970: it is heard, and it takes no update."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from device_agent.config import load_config
from device_agent.enrolment import enrol
from device_agent.errors import Unavailable
from device_agent.gateway import Gateway
from device_agent.identity import Identity
from device_agent.journal import Journal
from device_agent.trust import SignedTargets
from inference_core.contract.device import Report
from tests.agent.gateway_simulator import ENROLMENT_TOKEN, Simulator
from tests.agent.signed_repository import SignedRepository


def test_a_device_whose_clock_is_wrong_can_still_talk(
    tmp_path: Path, server: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load_config(None, {}, server_url=server.url, enrolment_token=ENROLMENT_TOKEN)
    identity, journal = Identity(tmp_path / "id"), Journal.open(tmp_path / "journal.sqlite")
    gateway = Gateway(config, identity)
    enrol(config, identity, gateway, journal)
    real = time.time
    monkeypatch.setattr("device_agent.identity.time.time", lambda: real() - 50 * 365 * 86_400)
    report = Report(boot_id="00000000-0000-0000-0000-000000000001")
    assert gateway.goal(report, None).goal == server.goal


def test_updates_are_frozen_while_the_clock_is_behind_the_floor(
    tmp_path: Path, server: Simulator, repository: SignedRepository
) -> None:
    config = load_config(None, {}, server_url=server.url)
    gateway = Gateway(config, Identity(tmp_path / "id"))
    tomorrow = datetime.now(timezone.utc) + timedelta(days=1)
    with pytest.raises(Unavailable, match="updates are frozen"):
        SignedTargets(gateway, tmp_path / "tuf", repository.initial_root, tomorrow)
    assert server.requests == []


def test_neither_clock_alone_can_move_the_floor_ahead(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "journal.sqlite")
    now = datetime.now(timezone.utc)
    journal.raise_time_floor(now + timedelta(days=3650))  # a lying server
    assert journal.time_floor is not None
    assert journal.time_floor <= datetime.now(timezone.utc)
    floor = journal.time_floor
    journal.raise_time_floor(now - timedelta(days=3650))  # a server in the past
    assert journal.time_floor == floor
