"""Row 18-20: whoever lacks a key cannot change, rewind or hold back what is signed."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

import pytest
from tuf.api.metadata import Metadata, MetaFile, Snapshot, Targets, Timestamp

from device_agent.errors import AgentError, Rejected, Unavailable
from inference_core.contract.words import FailureCause
from tests.faults.tuf_client import TufClient, client, files, tuf
from tests.faults.tuf_repository import TOP, TufRepository, new_signer

__all__ = ["client", "files", "tuf"]

YESTERDAY = (datetime.now(timezone.utc) - timedelta(days=1)).replace(microsecond=0)
BELOW_ROOT = (Timestamp.type, Snapshot.type, Targets.type)


def assert_untrusted(client: TufClient, match: str) -> None:
    with pytest.raises(Rejected, match=match) as error:
        client.look()
    assert error.value.cause is FailureCause.UNTRUSTED


@pytest.mark.parametrize("role", TOP)
def test_metadata_signed_by_a_stranger_is_refused(
    tuf: TufRepository, client: TufClient, role: str
) -> None:
    before = {name: client.version(name) for name in TOP}
    tuf.signers[role] = [new_signer()]
    tuf.publish_root()
    tuf.publish()
    assert_untrusted(client, f"{role} was signed by 0/1 keys")
    assert client.version(role) == before[role]


@pytest.mark.parametrize("role", TOP)
def test_metadata_without_a_signature_is_refused(
    tuf: TufRepository, client: TufClient, role: str
) -> None:
    tuf.publish_root()
    tuf.publish()
    signed = getattr(tuf, role)
    tuf.write(role, signed, signers=[])
    assert_untrusted(client, f"{role} was signed by 0/1 keys")


def test_one_key_that_signs_twice_does_not_make_a_threshold_of_two(
    tuf: TufRepository, client: TufClient
) -> None:
    """A signature repeated, under its own id and under the id of a key that did not sign."""
    mine, other = tuf.signers[Timestamp.type][0], new_signer()
    tuf.root.add_key(other.public_key, Timestamp.type)
    tuf.root.roles[Timestamp.type].threshold = 2
    tuf.publish_root()
    tuf.publish()
    place = tuf.place(Timestamp.type, tuf.timestamp.version)
    genuine = Metadata.from_bytes(tuf.files[place])
    genuine.sign(mine, append=True)
    signature = genuine.signatures[mine.public_key.keyid]
    forged = genuine.to_dict()
    forged["signatures"] = [
        {"keyid": mine.public_key.keyid, "sig": signature.signature},
        {"keyid": other.public_key.keyid, "sig": signature.signature},
    ]
    tuf.files[place] = Metadata.from_dict(forged).to_bytes()
    assert_untrusted(client, "timestamp was signed by 1/2 keys")


def test_signatures_under_one_id_are_refused(tuf: TufRepository, client: TufClient) -> None:
    tuf.publish()
    place = tuf.place(Timestamp.type, tuf.timestamp.version)
    document = json.loads(tuf.files[place])
    document["signatures"] *= 2
    tuf.files[place] = json.dumps(document).encode()
    assert_untrusted(client, "Failed to deserialize")


def test_a_key_counts_once_however_often_it_is_listed(
    tuf: TufRepository, client: TufClient
) -> None:
    tuf.root.roles[Timestamp.type].threshold = 2
    tuf.publish_root()
    tuf.publish()
    assert_untrusted(client, "timestamp was signed by 1/2 keys")


def test_a_threshold_of_two_is_met_by_two(tuf: TufRepository, client: TufClient) -> None:
    second = new_signer()
    tuf.root.add_key(second.public_key, Timestamp.type)
    tuf.root.roles[Timestamp.type].threshold = 2
    tuf.signers[Timestamp.type].append(second)
    tuf.publish_root()
    tuf.publish()
    client.look()
    assert client.version(Timestamp.type) == tuf.timestamp.version


@pytest.mark.parametrize("role", TOP)
def test_expired_metadata_freeze_updates_until_somebody_signs_again(
    tuf: TufRepository, client: TufClient, role: str
) -> None:
    signed = getattr(tuf, role)
    good, signed.expires = signed.expires, YESTERDAY
    tuf.publish_root()
    tuf.publish()
    with pytest.raises(Unavailable, match=r"updates are frozen: .*expired"):
        client.look()
    signed.expires = good
    tuf.publish_root()
    tuf.publish()
    client.look()


def _old_timestamp(tuf: TufRepository) -> None:
    tuf.timestamp.version -= 2
    tuf.publish_timestamp()


def _timestamp_of_an_older_snapshot(tuf: TufRepository) -> None:
    tuf.timestamp.snapshot_meta = MetaFile(tuf.snapshot.version - 1)
    tuf.publish_timestamp()


def _snapshot_with_older_targets(tuf: TufRepository) -> None:
    tuf.snapshot.meta["targets.json"] = MetaFile(tuf.targets.version - 1)
    tuf.publish_snapshot()


def _snapshot_without_targets(tuf: TufRepository) -> None:
    del tuf.snapshot.meta["targets.json"]
    tuf.publish_snapshot()


@pytest.mark.parametrize(
    "attack",
    [
        _old_timestamp,
        _timestamp_of_an_older_snapshot,
        _snapshot_with_older_targets,
        _snapshot_without_targets,
    ],
)
def test_metadata_are_never_rolled_back(
    tuf: TufRepository, client: TufClient, attack: Callable[[TufRepository], None]
) -> None:
    tuf.publish()
    client.look()
    attack(tuf)
    with pytest.raises(Rejected):
        client.look()
    assert client.version(Targets.type) == tuf.targets.version


def test_a_rollback_is_refused_after_a_restart_too(tuf: TufRepository, client: TufClient) -> None:
    old = dict(tuf.files)
    tuf.add_target("withdrawn", b"fixed")
    tuf.publish()
    newest = tuf.timestamp.version
    client.look()
    tuf.files.update(old)
    assert_untrusted(client, f"New timestamp version {newest - 1} must be >= {newest}")


@pytest.mark.parametrize("role", [Snapshot.type, Targets.type])
def test_files_of_different_times_are_not_mixed(
    tuf: TufRepository, client: TufClient, role: str
) -> None:
    """Genuine old metadata under the address of the new."""
    old = tuf.files[tuf.place(role, getattr(tuf, role).version)]
    tuf.publish()
    tuf.files[tuf.place(role, getattr(tuf, role).version)] = old
    with pytest.raises(Rejected):
        client.look()


@pytest.mark.parametrize("role", [Snapshot.type, Targets.type])
def test_other_bytes_than_the_pinned_ones_are_refused(
    tuf: TufRepository, client: TufClient, role: str
) -> None:
    tuf.publish(hashes=True)
    place = tuf.place(role, getattr(tuf, role).version)
    tuf.files[place] = tuf.files[place] + b" "
    assert_untrusted(client, "length|hash|longer|exceeding")


def test_a_fast_forward_is_undone_by_new_keys(tuf: TufRepository, client: TufClient) -> None:
    """A thief of the online keys pushed versions up so that nothing newer can follow."""
    tuf.timestamp.version = tuf.snapshot.version = 2_000_000
    tuf.publish()
    client.look()
    tuf.timestamp.version = tuf.snapshot.version = 5
    tuf.publish()
    with pytest.raises(Rejected):
        client.look()
    tuf.rotate(Timestamp.type)
    tuf.rotate(Snapshot.type)
    tuf.publish()
    client.look()
    assert client.version(Snapshot.type) == tuf.snapshot.version < 2_000_000


@pytest.mark.parametrize("role", BELOW_ROOT)
def test_metadata_that_never_end_are_cut_off(
    tuf: TufRepository, client: TufClient, role: str
) -> None:
    tuf.publish()
    client.server.endless = tuf.place(role, getattr(tuf, role).version)
    assert_untrusted(client, "exceeding|longer")


def test_whoever_holds_the_online_keys_cannot_promise_more_than_the_limit(
    tuf: TufRepository, client: TufClient
) -> None:
    tuf.timestamp.snapshot_meta = MetaFile(tuf.snapshot.version + 1, length=10**12)
    tuf.snapshot.version += 1
    tuf.write(Snapshot.type, tuf.snapshot)
    tuf.publish_timestamp()
    client.server.endless = tuf.place(Snapshot.type, tuf.snapshot.version)
    assert_untrusted(client, "longer than 5000000 bytes")


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[" * 100_000, b'{"signed": {}}', b"\xff\xfe", b"null"]
)
def test_what_is_no_metadata_is_refused(
    tuf: TufRepository, client: TufClient, content: bytes
) -> None:
    tuf.files["metadata/timestamp.json"] = content
    assert_untrusted(client, "refused metadata")


def test_a_refusal_leaves_what_was_trusted(tuf: TufRepository, client: TufClient) -> None:
    tuf.add_target("box/file", b"content")
    tuf.publish()
    client.look()
    kept = {path.name: path.read_bytes() for path in client.folder.glob("*.json")}
    tuf.signers[Timestamp.type] = [new_signer()]
    tuf.publish()
    with pytest.raises(AgentError):
        client.look()
    assert {path.name: path.read_bytes() for path in client.folder.glob("*.json")} == kept


def test_torn_metadata_on_disk_are_fetched_anew(tuf: TufRepository, client: TufClient) -> None:
    for role in BELOW_ROOT:
        (client.folder / f"{role}.json").write_bytes(b'{"signed": ')
    client.look()
    assert client.version(Targets.type) == tuf.targets.version
