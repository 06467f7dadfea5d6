"""Row 25 and the graph of roles: who may sign what, and names that are meant to do harm."""

from __future__ import annotations

from pathlib import Path

import pytest
from tuf.api.metadata import Targets

from device_agent.downloads import Downloader
from device_agent.errors import AgentError, Rejected
from device_agent.tuf_command import main
from inference_core.contract.words import FailureCause
from tests.faults.tuf_client import TufClient, client, files, tuf
from tests.faults.tuf_repository import TufRepository, new_signer

__all__ = ["client", "files", "tuf"]


def test_a_target_that_a_second_person_must_sign_needs_both(
    tuf: TufRepository, client: TufClient
) -> None:
    tuf.delegate("profile-box", ["box/*/*"], threshold=2)
    tuf.add_target("box/releases/r1.json", b"{}", role="profile-box")
    tuf.publish()
    assert client.find("box/releases/r1.json")
    builder, _person = tuf.signers["profile-box"]
    tuf.signers["profile-box"] = [builder]
    tuf.publish()
    with pytest.raises(Rejected, match="profile-box was signed by 1/2 keys"):
        client.find("box/releases/r1.json")


def test_two_strangers_are_not_the_builder_and_the_person(
    tuf: TufRepository, client: TufClient
) -> None:
    tuf.delegate("profile-box", ["box/*/*"], threshold=2)
    tuf.add_target("box/releases/r1.json", b"{}", role="profile-box")
    tuf.signers["profile-box"] = [new_signer(), new_signer()]
    tuf.publish()
    with pytest.raises(Rejected, match="profile-box was signed by 0/2 keys"):
        client.find("box/releases/r1.json")


def test_a_role_signs_for_its_own_paths_only(tuf: TufRepository, client: TufClient) -> None:
    tuf.delegate("profile-box", ["box/*/*"])
    tuf.delegate("profile-other", ["other/*/*"])
    tuf.add_target("other/releases/r1.json", b"{}", role="profile-box")
    tuf.add_target("box/releases/deep/r1.json", b"{}", role="profile-box")
    tuf.publish()
    assert client.find("other/releases/r1.json") is None
    assert client.find("box/releases/deep/r1.json") is None


def test_a_delegate_cannot_give_away_more_than_it_has(
    tuf: TufRepository, client: TufClient
) -> None:
    tuf.delegate("profile-box", ["box/*/*"])
    tuf.delegate("accomplice", ["*/*/*"], parent="profile-box")
    tuf.add_target("other/releases/r1.json", b"{}", role="accomplice")
    tuf.publish()
    assert client.find("other/releases/r1.json") is None


def test_an_earlier_terminating_role_has_the_last_word(
    tuf: TufRepository, client: TufClient
) -> None:
    tuf.delegate("first", ["box/*"], terminating=True)
    tuf.delegate("second", ["box/*"])
    tuf.add_target("box/file", b"content", role="second")
    tuf.publish()
    assert client.find("box/file") is None


def test_roles_that_delegate_in_a_circle_end(tuf: TufRepository, client: TufClient) -> None:
    tuf.delegate("one", ["*"])
    tuf.delegate("two", ["*"], parent="one")
    tuf.delegate("one", ["*"], parent="two")
    tuf.publish()
    assert client.find("nothing") is None


def test_a_forest_of_roles_is_not_walked_for_ever(tuf: TufRepository, client: TufClient) -> None:
    for number in range(60):
        tuf.delegate(f"role-{number}", ["*"])
    tuf.publish()
    client.server.requests.clear()
    assert client.find("nothing") is None
    assert len([path for path in client.server.requests if "role-" in path]) <= 32


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil", "%2e%2e%2fevil"])
def test_a_hostile_role_name_stays_inside_its_folder(
    tuf: TufRepository, client: TufClient, name: str
) -> None:
    tuf.delegate(name, ["box/*"])
    tuf.add_target("box/file", b"content", role=name)
    tuf.publish()
    around = _everything(client.folder.parent)
    with pytest.raises(AgentError):  # this server does not know the quoted address
        client.find("box/file")
    assert _outside(client) == [path for path in around if client.folder not in path.parents]


def test_a_hostile_role_that_can_be_fetched_is_kept_inside_the_folder(
    tuf: TufRepository, client: TufClient
) -> None:
    for name in ("../../evil", ".."):
        tuf.delegate(name, ["box/*"])
    tuf.add_target("box/file", b"content", role="..")
    tuf.publish()
    tuf.files["metadata/1...%2F..%2Fevil.json"] = tuf.files["metadata/1.../../evil.json"]
    assert client.find("box/file")
    assert {"..%2F..%2Fevil.json", "...json"} < {path.name for path in client.folder.iterdir()}
    assert list(client.folder.parent.iterdir()) == [client.folder]


def test_a_role_name_that_no_file_can_have_is_refused(
    tuf: TufRepository, client: TufClient
) -> None:
    tuf.delegate("x" * 300, ["box/*"])
    tuf.publish()
    with pytest.raises(Rejected) as error:
        client.find("box/file")
    assert error.value.cause is FailureCause.UNTRUSTED


@pytest.mark.parametrize("name", ["root", "timestamp", "snapshot", "targets"])
def test_a_delegate_cannot_take_a_top_levels_name(
    tuf: TufRepository, client: TufClient, name: str
) -> None:
    tuf.delegate("imposter", ["box/*"])
    tuf.publish()
    place = tuf.place(Targets.type, tuf.targets.version)
    tuf.files[place] = tuf.files[place].replace(b"imposter", name.encode())
    with pytest.raises(Rejected):
        client.look()


@pytest.mark.parametrize(
    "name", ["../../evil", "/etc/evil", "..", ".hidden", "a/../../../evil", "..%2f..%2fevil"]
)
def test_a_hostile_target_name_stays_inside_its_folder(
    tmp_path: Path, tuf: TufRepository, client: TufClient, name: str
) -> None:
    tuf.add_target(name, b"content")
    tuf.publish()
    folder = tmp_path / "down" / "loads"
    root = tmp_path / "root.json"
    root.write_bytes(tuf.initial_root)
    trusted = ["--metadata-dir", str(tmp_path / "trusted")]
    assert main([*trusted, "init", str(root)]) == 0
    before = [path for path in _everything(tmp_path) if folder not in path.parents]
    url = client.server.url
    where = ["--metadata-url", f"{url}/metadata", "--target-base-url", f"{url}/targets"]
    main([*trusted, *where, "--target-dir", str(folder), "--target-name", name, "download"])
    after = [path for path in _everything(tmp_path) if folder not in path.parents]
    new = [path for path in after if path not in before]
    assert all(
        tmp_path / "trusted" in path.parents or path in folder.parents or path == folder
        for path in new
    )
    assert all(path.parent in (folder, folder / ".partial") for path in folder.rglob("*"))


@pytest.mark.parametrize("digest", ["../../evil", "A" * 64, "a" * 63, ""])
def test_a_digest_that_is_none_never_becomes_a_file_name(
    tmp_path: Path, tuf: TufRepository, client: TufClient, digest: str
) -> None:
    tuf.add_target("box/file", b"content")
    tuf.targets.targets["box/file"].hashes = {"sha256": digest}
    tuf.publish()
    signed = client.find("box/file")
    assert signed
    partial = tmp_path / "partial"
    partial.mkdir()
    with pytest.raises(Rejected) as error:
        Downloader(client.server.open(), partial, disk_reserve_bytes=0).fetch_signed(
            signed, tmp_path / "blob"
        )
    assert error.value.cause is FailureCause.UNTRUSTED
    assert list(partial.iterdir()) == []


def test_bytes_under_an_arbitrary_digest_algorithm_are_refused(
    tmp_path: Path, tuf: TufRepository, client: TufClient
) -> None:
    tuf.add_target("box/file", b"content")
    tuf.targets.targets["box/file"].hashes = {"md5": "a" * 32}
    tuf.publish()
    signed = client.find("box/file")
    assert signed
    with pytest.raises(Rejected, match="knows sha256 and sha512"):
        Downloader(client.server.open(), tmp_path, disk_reserve_bytes=0).fetch_signed(
            signed, tmp_path / "blob"
        )


def _everything(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


def _outside(client: TufClient) -> list[Path]:
    everything = _everything(client.folder.parent)
    return [path for path in everything if client.folder not in path.parents]
