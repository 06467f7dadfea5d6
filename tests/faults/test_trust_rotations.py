"""Row 25 for an installation whose keys change: devices follow, and what was revoked is refused."""

from __future__ import annotations

import pytest

from device_agent.errors import Rejected
from server.lib.errors import Conflict, Unavailable
from server.trust import bins, keys, selectors, services, waiting
from server.trust.models import MetadataFile, SigningRequest
from tests.faults.served_repository import Agent, agent, ceremony, own_keys, released
from tests.server.trust.ceremony import Ceremony
from tests.server.trust.test_repository import OTHER, PROFILE, stored

__all__ = ["agent", "ceremony", "own_keys"]

ROLE = f"profile-{PROFILE}"


def hand_over(ceremony: Ceremony, count: int = 1, threshold: int = 1) -> None:
    ceremony.init(count, threshold)
    for role in ("root", "targets"):
        keys.key_path(role).unlink()


def rotate_root(ceremony: Ceremony, old: str, new: str) -> None:
    folder = ceremony.keys(folder=new)
    ceremony.ask("root", "--root", folder / "root.pub", command="rotate")
    ceremony.sign(f"{old}/root-1.pem")
    assert "lacks 1 of 1 for the new root" in ceremony.take_in()
    ceremony.sign(f"{new}/root-1.pem")
    ceremony.take_in()


def test_an_agent_that_was_offline_follows_through_rotations_of_every_role(
    agent: Agent, ceremony: Ceremony
) -> None:
    first = stored(b"engine")
    services.publish_targets(PROFILE, [first])
    agent.look()
    hand_over(ceremony)
    for old, new in (("", "second"), ("second", "third")):
        rotate_root(ceremony, old or ".", new)
    folder = ceremony.keys(folder="fourth")
    ceremony.ask("targets", "--targets", folder / "targets.pub", command="rotate")
    for key in ("third/root-1.pem", "fourth/targets-1.pem"):
        ceremony.sign(key)
    ceremony.take_in()
    for role in ("snapshot", "timestamp", "online"):
        ceremony.ask(role, command="rotate")
        ceremony.sign("third/root-1.pem")
        ceremony.take_in()
    for _ in range(2):
        ceremony.ask(PROFILE, command="rotate")
        ceremony.sign("fourth/targets-1.pem")
        ceremony.take_in()
    services.publish_targets(PROFILE, [second := stored(b"engine 2")])

    assert agent.find(first.path)
    assert agent.find(second.path)
    assert agent.version("root") == 8


def test_a_root_that_the_old_keyholder_did_not_sign_is_not_published(
    agent: Agent, ceremony: Ceremony
) -> None:
    hand_over(ceremony)
    folder = ceremony.keys(folder="new")
    ceremony.ask("root", "--root", folder / "root.pub", command="rotate")
    ceremony.sign("new/root-1.pem")
    assert "for the root before" in ceremony.take_in()
    agent.look()
    assert agent.version("root") == 2


def test_what_a_revoked_builder_key_signed_is_refused(agent: Agent, ceremony: Ceremony) -> None:
    target = stored(b"engine")
    services.publish_targets(PROFILE, [target])
    old = keys.load_signer(ROLE)
    stolen = stored(b"evil")
    services.publish_targets(PROFILE, [stolen])
    with_stolen = selectors.metadata_file(f"2.{ROLE}.json")
    hand_over(ceremony)
    ceremony.ask(PROFILE, command="rotate")
    said = ceremony.sign("targets-1.pem")
    assert f"the role {ROLE} LOSES the key" in said
    ceremony.take_in()
    assert agent.find(target.path)

    # What it signed before, and what a thief signs with it now, under the version that is pinned.
    newest = selectors.newest(ROLE)
    assert newest is not None
    name = f"metadata/{newest.version}.{ROLE}.json"
    agent.folder = agent.folder.with_name("another-device")
    agent.forged[name] = with_stolen
    with pytest.raises(Rejected, match="0/1 keys"):
        agent.find(stolen.path)
    agent.forge(ROLE, old)
    with pytest.raises(Rejected, match="0/1 keys"):
        agent.find(stolen.path)


def test_what_a_stolen_builder_key_may_have_made_is_withdrawn_with_its_releases(
    agent: Agent, ceremony: Ceremony
) -> None:
    good, bad = stored(b"engine"), stored(b"evil")
    releases = [released("good", good.sha256), released("bad", bad.sha256)]
    services.publish_targets(PROFILE, [good, bad, *releases])
    assert agent.find(bad.path)
    said = ceremony.run("withdraw", PROFILE, bad.sha256)
    assert "releases/bad.json" in said
    assert "releases/good.json" not in said
    assert agent.find(bad.path) is None
    assert agent.find(releases[1].path) is None
    assert agent.find(good.path)
    assert agent.find(releases[0].path)
    with pytest.raises(Conflict, match="withdrawn"):
        services.publish_targets(PROFILE, [bad])
    assert "No artifact" in ceremony.run("withdraw", PROFILE, bad.sha256, status=1)
    assert waiting.why_unsigned(PROFILE, bad.path) == "withdrawn"


def test_a_builder_elsewhere_signs_anew_and_until_then_devices_take_nothing(
    agent: Agent, ceremony: Ceremony
) -> None:
    target, other = stored(b"engine"), stored(b"other", OTHER)
    services.publish_targets(PROFILE, [target])
    services.publish_targets(OTHER, [other])
    hand_over(ceremony)
    ceremony.ask(PROFILE, command="rotate")
    ceremony.sign("targets-1.pem")
    folder = keys.key_path(ROLE).parent
    folder.rename(elsewhere := folder.with_name("elsewhere"))
    ceremony.take_in()
    with pytest.raises(Rejected):
        agent.find(target.path)
    assert agent.find(other.path)
    assert waiting.profiles_to_renew() == [PROFILE]
    assert "OVERDUE" in ceremony.run("status", status=3)
    with pytest.raises(Unavailable):
        services.renew_profile(PROFILE)

    elsewhere.rename(folder)
    assert services.renew_profile(PROFILE)
    assert not services.renew_profile(PROFILE)
    assert agent.find(target.path)
    assert waiting.profiles_to_renew() == []


def test_a_planned_change_of_builder_leaves_no_gap(agent: Agent, ceremony: Ceremony) -> None:
    target = stored(b"engine")
    services.publish_targets(PROFILE, [target])
    hand_over(ceremony)
    ceremony.ask(PROFILE, "--add", command="rotate")
    old_key = keys.key_path(ROLE)
    new_key = next(old_key.parent.glob(f"{ROLE}.*.pem"))
    ceremony.sign("targets-1.pem")
    new_key.rename(away := new_key.with_name("away"))
    ceremony.take_in()
    assert agent.find(target.path)
    away.rename(new_key)
    old_key.unlink()
    services.publish_targets(PROFILE, [second := stored(b"engine 2")])
    assert agent.find(second.path)


def test_bins_follow_their_builders_keys(
    agent: Agent, ceremony: Ceremony, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First a second key beside the old one, on another machine; then the old one is revoked."""
    monkeypatch.setattr(bins, "BIN_TARGETS", 2)
    targets = [stored(f"engine {n}".encode()) for n in range(4)]
    services.publish_targets(PROFILE, targets)
    hand_over(ceremony)
    old_key = keys.key_path(ROLE)
    old = keys.load_signer(ROLE)
    ceremony.ask(PROFILE, "--add", command="rotate")
    ceremony.sign("targets-1.pem")
    ceremony.take_in()
    old_key.rename(away := old_key.with_name("away"))
    services.publish_targets(PROFILE, [more := stored(b"engine 5")])
    assert all(agent.find(target.path) for target in (*targets, more))

    ceremony.ask(PROFILE, command="rotate")
    ceremony.sign("targets-1.pem")
    ceremony.take_in()
    assert all(agent.find(target.path) for target in (*targets, more))
    role = bins.role_of_bin(PROFILE, bins.place_of(more.path)[:2])
    agent.folder = agent.folder.with_name("another-device")
    agent.forge(role, old)
    with pytest.raises(Rejected, match=f"{role} was signed by 0/1 keys"):
        agent.find(more.path)
    assert away.exists()


def test_one_of_three_keyholders_may_lose_a_key(agent: Agent, ceremony: Ceremony) -> None:
    hand_over(ceremony, count=3, threshold=2)
    (ceremony.stick / "root-3.pem").unlink()
    rest = [ceremony.stick / f"root-{n}.pem" for n in (1, 2)]
    eve = ceremony.person("Eve")
    public = ceremony.stick / "eve-and-old.pub"
    ceremony.run(
        *("join", public), *(key.with_suffix(".pub") for key in (*rest, eve)), *("--threshold", 2)
    )
    ceremony.ask("root", "--root", public, command="rotate")
    for key in ("root-1.pem", "root-2.pem"):
        ceremony.sign(key)
    ceremony.take_in()
    ceremony.ask("snapshot", command="rotate")
    for key in ("root-1.pem", "Eve.pem"):
        ceremony.sign(key)
    ceremony.take_in()
    agent.look()
    assert agent.version("root") == 4


def test_lost_online_keys_are_replaced_by_the_root(agent: Agent, ceremony: Ceremony) -> None:
    services.publish_targets(PROFILE, [stored(b"engine")])
    agent.look()
    hand_over(ceremony)
    for role in ("snapshot", "timestamp"):
        keys.key_path(role).unlink()
    with pytest.raises(Unavailable, match="snapshot"):
        services.publish_targets(PROFILE, [second := stored(b"engine 2")])
    ceremony.ask("online", command="rotate")
    ceremony.sign("root-1.pem")
    ceremony.take_in()
    services.publish_targets(PROFILE, [second])
    assert agent.find(second.path)


def test_a_thief_of_the_online_keys_is_locked_out_and_his_versions_are_forgotten(
    agent: Agent, ceremony: Ceremony
) -> None:
    target = stored(b"engine")
    services.publish_targets(PROFILE, [target])
    hand_over(ceremony)
    thief = {role: keys.load_signer(role) for role in ("snapshot", "timestamp")}
    pinned = {"snapshot.json": {"version": 900_000}}
    agent.forge("snapshot", thief["snapshot"], version=900_000)
    agent.forge("timestamp", thief["timestamp"], version=900_000, meta=pinned)
    assert agent.find(target.path)
    assert agent.version("timestamp") == 900_000
    ceremony.ask("online", command="rotate")
    ceremony.sign("root-1.pem")
    ceremony.take_in()
    with pytest.raises(Rejected):
        agent.look()  # the thief still answers
    agent.forged.clear()
    assert agent.find(target.path)
    assert agent.version("timestamp") < 900_000


def test_a_rotation_is_published_whole_or_not_at_all(agent: Agent, ceremony: Ceremony) -> None:
    services.publish_targets(PROFILE, [stored(b"engine")])
    hand_over(ceremony)
    ceremony.ask("online", command="rotate")
    ceremony.sign("root-1.pem")
    for path in keys.key_path("snapshot").parent.glob("snapshot.*.pem"):
        path.unlink()  # imported on a machine that does not have the new key
    before = list(MetadataFile.objects.values_list("role", "version"))
    assert "not on this machine" in ceremony.take_in(status=1)
    assert list(MetadataFile.objects.values_list("role", "version")) == before
    agent.look()


def test_a_stranger_with_the_database_can_ask_and_not_sign(
    agent: Agent, ceremony: Ceremony
) -> None:
    hand_over(ceremony)
    folder = ceremony.keys(folder="stranger")
    ceremony.ask("root", "--root", folder / "root.pub", command="rotate")
    ceremony.sign("stranger/root-1.pem")
    assert "not published yet" in ceremony.take_in()
    assert MetadataFile.objects.filter(role="root").count() == 2
    agent.forge("root", keys.load_signer("snapshot"), version=3)
    with pytest.raises(Rejected):
        agent.look()


def test_after_an_old_backup_the_signed_file_is_imported_again_and_devices_come_back(
    agent: Agent, ceremony: Ceremony
) -> None:
    services.publish_targets(PROFILE, [target := stored(b"engine")])
    hand_over(ceremony)
    backup = dict(MetadataFile.objects.order_by("version").values_list("role", "version"))
    with pytest.raises(waiting.WaitsForSignature):
        services.ensure_profile_role(OTHER)
    ceremony.ask()
    ceremony.sign("targets-1.pem")
    ceremony.take_in()
    for number in range(3):
        services.publish_targets(OTHER, [stored(f"{number}".encode(), OTHER)])
    agent.look()

    for role, version in backup.items():
        MetadataFile.objects.filter(role=role, version__gt=version).delete()
    MetadataFile.objects.filter(role=f"profile-{OTHER}").delete()
    SigningRequest.objects.all().delete()
    with pytest.raises(Rejected):
        agent.look()
    assert "Published" in ceremony.take_in()
    ceremony.ask("online", command="rotate")
    ceremony.sign("root-1.pem")
    ceremony.take_in()
    assert agent.find(target.path)
