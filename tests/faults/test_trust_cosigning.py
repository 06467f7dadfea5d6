"""Releases that a person must sign as well: the builder alone convinces nobody."""

from __future__ import annotations

import pytest

from device_agent.errors import Rejected
from server.trust import keys, selectors, services, storing, waiting
from server.trust.holders import load_key_file, write_keyholders
from server.trust.models import SignedTarget, SigningRequest
from server.trust.waiting import WaitsForSignature
from tests.faults.served_repository import Agent, agent, ceremony, own_keys, released
from tests.server.trust.ceremony import PHRASE, Ceremony
from tests.server.trust.test_repository import OTHER, PROFILE, stored

__all__ = ["agent", "ceremony", "own_keys"]

COSIGNED, ROLE = f"cosigned-{PROFILE}", f"profile-{PROFILE}"


@pytest.fixture
def ada(agent: Agent, ceremony: Ceremony) -> str:
    """Signs the releases of the profile from now on; the one before, too."""
    services.publish_targets(PROFILE, [released("before")])
    key = ceremony.person("Ada")
    ceremony.run("cosign", PROFILE, "--person", key.with_suffix(".pub"), "--to", ceremony.request)
    return key.name


def release(name: str) -> str:
    """Signed by its builder; waits for Ada."""
    target = released(name)
    with pytest.raises(WaitsForSignature, match="second signature by Ada"):
        services.publish_targets(PROFILE, [target])
    return target.path


def countersign(ceremony: Ceremony, key: str) -> None:
    ceremony.ask(PROFILE)
    ceremony.sign(key)
    ceremony.take_in()


def test_a_release_is_served_once_both_have_signed(
    agent: Agent, ceremony: Ceremony, ada: str
) -> None:
    path = release("r1")
    assert not selectors.is_signed(path)
    assert "second signature by Ada" in waiting.why_unsigned(PROFILE, path)
    assert "wait for a second signature by Ada" in ceremony.run("status")
    with pytest.raises(Rejected):
        agent.find(path)
    ceremony.ask(PROFILE)
    said = ceremony.sign(ada)
    assert f"vouches for {path}" in said
    ceremony.take_in()
    assert agent.find(path)
    assert selectors.is_signed(path)
    assert waiting.why_unsigned(PROFILE, path) == ""
    services.publish_targets(PROFILE, [released("r1")])
    assert not SigningRequest.objects.filter(closed_at=None).exists()


def test_releases_that_wait_together_take_one_signature(
    agent: Agent, ceremony: Ceremony, ada: str
) -> None:
    paths = [release("r1"), release("r2"), "x86-onnxruntime/releases/before.json"]
    assert release("r1") == paths[0]
    assert SigningRequest.objects.filter(closed_at=None).count() == 1
    countersign(ceremony, ada)
    assert all(map(agent.find, paths))


@pytest.mark.parametrize("signers", [("builder",), ("ada",), ("builder", "snapshot"), ()])
def test_fewer_than_both_signatures_are_refused_by_a_device(
    agent: Agent, ceremony: Ceremony, ada: str, signers: tuple[str, ...]
) -> None:
    path = release("r1")
    countersign(ceremony, ada)
    known = {
        "builder": keys.load_signer(ROLE),
        "ada": load_key_file(ceremony.stick / ada, PHRASE),
        "snapshot": keys.load_signer("snapshot"),
    }
    agent.forge(COSIGNED, *(known[name] for name in signers))
    with pytest.raises(Rejected, match=f"{COSIGNED} was signed by"):
        agent.find(path)


def test_the_builders_own_role_cannot_answer_for_releases(
    agent: Agent, ceremony: Ceremony, ada: str
) -> None:
    countersign_path = release("r1")
    countersign(ceremony, ada)
    evil = released("evil")
    targets = {
        evil.path: {
            "length": evil.length,
            "hashes": {"sha256": evil.sha256},
            "custom": evil.custom.model_dump(mode="json", exclude_none=True),
        }
    }
    agent.forge(ROLE, keys.load_signer(ROLE), targets=targets)
    assert agent.find(evil.path) is None
    assert agent.find(countersign_path)


def test_artifacts_and_other_profiles_wait_for_nobody(agent: Agent, ada: str) -> None:
    artifact, other = stored(b"engine"), released("r1", profile=OTHER)
    services.publish_targets(PROFILE, [artifact])
    services.publish_targets(OTHER, [other])
    assert agent.find(artifact.path)
    assert agent.find(other.path)


def test_a_new_builder_key_takes_the_person_along(
    agent: Agent, ceremony: Ceremony, ada: str
) -> None:
    path = release("r1")
    countersign(ceremony, ada)
    ceremony.run("rotate", PROFILE, "--to", ceremony.request)
    assert "second signature" in waiting.why_unsigned(PROFILE, path)
    assert waiting.profiles_to_renew() == [PROFILE]
    services.renew_profile(PROFILE)
    assert waiting.profiles_to_renew() == []
    countersign(ceremony, ada)
    assert agent.find(path)


def test_a_builder_with_two_keys_is_not_two_who_sign(
    agent: Agent, ceremony: Ceremony, ada: str
) -> None:
    path = release("r1")
    countersign(ceremony, ada)
    old = keys.load_signer(ROLE)
    ceremony.run("rotate", PROFILE, "--add", "--to", ceremony.request)
    services.renew_profile(PROFILE)
    countersign(ceremony, ada)
    assert agent.find(path)
    new = keys.signers_among(ROLE, storing.standing(ROLE).keyids)[-1]
    agent.folder = agent.folder.with_name("another-device")
    agent.forge(COSIGNED, old, new)
    with pytest.raises(Rejected, match=f"{COSIGNED} was signed by 1/2 keys"):
        agent.find(path)


def test_a_person_is_replaced_by_another(agent: Agent, ceremony: Ceremony, ada: str) -> None:
    publics = [ceremony.person(name).with_suffix(".pub") for name in ("Bob", "Eve")]
    for persons in (publics, publics[1:]):
        ceremony.run("cosign", PROFILE, "--person", *persons, "--to", ceremony.request)
    with pytest.raises(WaitsForSignature, match=r"second signature by Eve \([0-9a-f ]+\):"):
        services.publish_targets(PROFILE, [target := released("r1")])
    ceremony.ask(PROFILE)
    for gone in (ada, "Bob.pem"):
        assert "may sign nothing" in ceremony.sign(gone, status=1)
    ceremony.sign("Eve.pem")
    ceremony.take_in()
    assert agent.find(target.path)


def test_without_a_person_the_builder_vouches_again(
    agent: Agent, ceremony: Ceremony, ada: str
) -> None:
    waits = release("r1")
    ceremony.run("cosign", PROFILE, "--off")
    assert agent.find(waits)
    assert agent.find("x86-onnxruntime/releases/before.json")
    services.publish_targets(PROFILE, [second := released("r2")])
    assert agent.find(second.path)
    assert not SignedTarget.objects.exclude(waits_since=None).exists()


def test_who_asks_for_a_person_must_name_one(agent: Agent, ceremony: Ceremony, ada: str) -> None:
    assert "Name the public keys" in ceremony.run("cosign", PROFILE, status=1)
    public = ceremony.stick / "Ada.pub"
    assert "Nobody signs for" in ceremony.run("cosign", OTHER, "--person", public, status=1)
    own = ceremony.stick / "builder.pub"
    write_keyholders(own, [keys.load_signer(ROLE).public_key], 1)
    assert "no second signature" in ceremony.run("cosign", PROFILE, "--person", own, status=1)
    assert "Nothing of cosigned-nobody" in ceremony.run("request", "nobody", status=1)
