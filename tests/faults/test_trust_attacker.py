"""Somebody owns the web server and the online keys: what the agent's client takes from him.

Counters, profiles, memory and certificates are judged after that, in ``test_trust_releases``.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from device_agent.errors import Rejected, Unavailable
from server.lib import clock
from server.trust import bins, keys, selectors, services
from tests.faults.served_repository import Agent, agent, own_keys, released
from tests.server.trust.test_repository import OTHER, PROFILE, stored

__all__ = ["agent", "own_keys"]

ROLE, OTHER_ROLE = f"profile-{PROFILE}", f"profile-{OTHER}"


def announce(agent: Agent, **versions: int) -> None:
    """With the online keys: a new snapshot of whatever he likes, and a timestamp for it."""
    snapshot, timestamp = (selectors.newest(role) for role in ("snapshot", "timestamp"))
    assert snapshot is not None
    assert timestamp is not None
    meta = json.loads(bytes(snapshot.body))["signed"]["meta"]
    for role, version in versions.items():
        meta[f"{role}.json"]["version"] = version
    number = snapshot.version + 1000
    fresh = (clock.now() + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    for role, body in (("snapshot", meta), ("timestamp", {"snapshot.json": {"version": number}})):
        signer = keys.load_signer(role)
        agent.forge(role, signer, version=number, meta=body, expires=fresh)


def another_device(agent: Agent) -> None:
    """One that has no metadata yet, so that nothing is older than what it has."""
    agent.folder = agent.folder.with_name("new-device")


def entry(target: Any) -> dict[str, Any]:
    custom = target.custom.model_dump(mode="json", exclude_none=True)
    return {"length": target.length, "hashes": {"sha256": target.sha256}, "custom": custom}


@pytest.mark.parametrize("thief", ["snapshot", "timestamp", OTHER_ROLE])
def test_he_cannot_bring_an_artifact_of_his_own(agent: Agent, thief: str) -> None:
    services.publish_targets(PROFILE, [good := stored(b"engine")])
    services.publish_targets(OTHER, [stored(b"other", OTHER)])
    assert agent.find(good.path)
    evil = stored(b"evil")
    targets = {evil.path: entry(evil)}
    agent.forge(ROLE, keys.load_signer(thief), version=7, targets=targets)
    announce(agent, **{ROLE: 7})
    with pytest.raises(Rejected, match=f"{ROLE} was signed by 0/1 keys"):
        agent.find(evil.path)


def test_he_cannot_give_himself_a_role(agent: Agent) -> None:
    services.publish_targets(PROFILE, [good := stored(b"engine")])
    agent.look()
    nobody: dict[str, Any] = {"keys": {}, "roles": []}
    agent.forge("targets", keys.load_signer("timestamp"), version=7, delegations=nobody)
    announce(agent, targets=7)
    with pytest.raises(Rejected, match="targets was signed by 0/1 keys"):
        agent.find(good.path)


def test_he_cannot_bring_back_what_was_withdrawn(agent: Agent) -> None:
    services.publish_targets(PROFILE, [stored(b"engine"), bad := stored(b"bad engine")])
    agent.look()
    services.withdraw_artifact(profile=PROFILE, sha256=bad.sha256, actor="test")
    assert agent.find(bad.path) is None
    announce(agent, **{ROLE: 2})
    with pytest.raises(Rejected):
        agent.find(bad.path)


def test_he_cannot_mix_old_roles_with_new_ones(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bins of different times are roles of different times."""
    monkeypatch.setattr(bins, "BIN_TARGETS", 4)
    targets = [stored(f"engine {n}".encode()) for n in range(8)]
    services.publish_targets(PROFILE, targets)
    services.publish_targets(PROFILE, [newer := stored(b"engine newer")])
    assert agent.find(newer.path)
    place = bins.place_of(newer.path)[:2]
    announce(agent, **{bins.role_of_bin(PROFILE, place): 1})
    with pytest.raises(Rejected):
        agent.find(targets[0].path)


def test_a_new_device_can_be_shown_the_past_and_nothing_but_what_was_signed(agent: Agent) -> None:
    """What TUF leaves open: the counter of a release is what refuses it then."""
    services.publish_targets(PROFILE, [old := released("r1")])
    services.publish_targets(PROFILE, [new := released("r2")])
    announce(agent, **{ROLE: 2})
    another_device(agent)
    found = agent.find(old.path)
    assert found is not None
    assert found.hashes["sha256"] == old.sha256
    assert found.custom["counter"] == old.custom.counter
    assert agent.find(new.path) is None


def test_without_the_online_keys_he_freezes_a_device_for_a_day(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    yesterday = clock.now() - timedelta(days=1, minutes=1)
    with monkeypatch.context() as patch:
        patch.setattr(clock, "now", lambda: yesterday)
        services.publish_targets(PROFILE, [target := stored(b"engine")])
    with pytest.raises(Unavailable, match="frozen"):
        agent.find(target.path)


def test_with_the_online_keys_he_freezes_it_until_what_a_builder_signed_has_ended(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    long_ago = clock.now() - timedelta(days=90, minutes=1)
    with monkeypatch.context() as patch:
        patch.setattr(clock, "now", lambda: long_ago)
        services.publish_targets(PROFILE, [target := stored(b"engine")])
    announce(agent)
    with pytest.raises(Unavailable, match="frozen"):
        agent.find(target.path)
    assert agent.version("timestamp") > 1000


def test_a_target_is_bytes_and_not_only_a_name(agent: Agent) -> None:
    services.publish_targets(PROFILE, [good := stored(b"engine")])
    evil = stored(b"evil")
    found = agent.find(good.path)
    assert found is not None
    assert (found.hashes["sha256"], found.length) == (good.sha256, good.length)
    assert agent.find(evil.path) is None
