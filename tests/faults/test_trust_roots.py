"""Row 22: the chain of roots, from the one that a device was enrolled with to the newest."""

from __future__ import annotations

import pytest
from tuf.api.metadata import Root, Targets

from device_agent.errors import Rejected, Unavailable
from tests.faults.tuf_client import TufClient, client, files, tuf
from tests.faults.tuf_repository import TufRepository, new_signer

__all__ = ["client", "files", "tuf"]


def test_a_device_that_was_offline_through_20_root_rotations_walks_them_all(
    tuf: TufRepository, client: TufClient
) -> None:
    for _ in range(20):
        tuf.rotate_root()
    tuf.add_target("box/file", b"content")
    tuf.publish()
    assert client.find("box/file")
    assert client.version(Root.type) == 21
    assert len(list((client.folder / "root_history").iterdir())) == 21


def test_a_walk_that_was_interrupted_goes_on_where_it_stopped(
    tuf: TufRepository, client: TufClient
) -> None:
    for _ in range(6):
        tuf.rotate_root()
    tuf.publish()
    withheld = tuf.files.pop("metadata/5.root.json")
    client.look()
    assert client.version(Root.type) == 4
    tuf.files["metadata/5.root.json"] = withheld
    client.server.requests.clear()
    client.look()
    assert client.version(Root.type) == 7
    assert "metadata/4.root.json" not in client.server.requests


def test_a_revoked_root_key_signs_nothing_any_more(tuf: TufRepository, client: TufClient) -> None:
    (stolen,) = tuf.signers[Root.type]
    tuf.rotate_root()
    client.look()
    tuf.root.add_key(stolen.public_key, Root.type)
    tuf.publish_root([stolen])
    with pytest.raises(Rejected, match="root was signed by 0/1 keys"):
        client.look()
    assert client.version(Root.type) == 2


def test_a_root_that_only_its_own_new_key_signed_is_refused(
    tuf: TufRepository, client: TufClient
) -> None:
    usurper = new_signer()
    tuf.root.roles[Root.type].keyids = []
    tuf.root.add_key(usurper.public_key, Root.type)
    tuf.publish_root([usurper])
    with pytest.raises(Rejected, match="root was signed by 0/1 keys"):
        client.look()


def test_a_root_that_its_own_new_key_did_not_sign_is_refused(
    tuf: TufRepository, client: TufClient
) -> None:
    (old,) = tuf.signers[Root.type]
    tuf.root.revoke_key(old.public_key.keyid, Root.type)
    tuf.root.add_key(new_signer().public_key, Root.type)
    tuf.publish_root([old])
    with pytest.raises(Rejected, match="root was signed by 0/1 keys"):
        client.look()


def test_no_root_is_skipped(tuf: TufRepository, client: TufClient) -> None:
    tuf.root.version += 5
    content = tuf.publish_root()
    tuf.files["metadata/2.root.json"] = content
    with pytest.raises(Rejected, match="Expected root version 2 instead got version 7"):
        client.look()


def test_a_revoked_targets_key_signs_nothing_any_more(
    tuf: TufRepository, client: TufClient
) -> None:
    stolen = tuf.rotate(Targets.type)
    tuf.publish()
    client.look()
    tuf.signers[Targets.type] = [stolen]
    tuf.publish()
    with pytest.raises(Rejected, match="targets was signed by 0/1 keys"):
        client.look()


def test_a_new_root_is_kept_also_where_the_rest_cannot_be_had(
    tuf: TufRepository, client: TufClient
) -> None:
    tuf.rotate_root()
    del tuf.files["metadata/timestamp.json"]
    with pytest.raises(Unavailable, match="404"):
        client.look()
    assert client.version(Root.type) == 2


def test_a_damaged_root_on_disk_does_not_cut_a_device_off(
    tuf: TufRepository, client: TufClient
) -> None:
    """What it was enrolled with is the anchor, not the file that lies there."""
    tuf.rotate_root()
    client.look()
    (client.folder / "root_history/2.root.json").write_bytes(b"torn")
    client.look()
    assert client.version(Root.type) == 2
