"""Root and targets are held by people: what they must sign waits, and nothing else does."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tuf.api import exceptions

from server.trust import keys, selectors, services
from server.trust.models import MetadataFile, RoleWish, SignedTarget, SigningRequest
from server.trust.public_keys import fingerprint
from server.trust.waiting import WaitsForSignature
from tests.server.trust.ceremony import PHRASE, Ceremony
from tests.server.trust.conftest import Device, RepositoryFetcher
from tests.server.trust.test_repository import OTHER, PROFILE, later, newest_version, stored

pytestmark = pytest.mark.django_db


@pytest.fixture
def old_device(tmp_path: Path, fetcher: RepositoryFetcher) -> Device:
    """Enrolled while the installation signed for itself."""
    services.ensure_repository()
    return Device(tmp_path / "device", fetcher)


def remove_plain_keys() -> None:
    for role in ("root", "targets"):
        keys.key_path(role).unlink()


def test_an_installation_that_signed_for_itself_hands_over_and_devices_follow(
    old_device: Device, ceremony: Ceremony
) -> None:
    target = stored(b"engine")
    services.publish_targets(PROFILE, [target])
    old_device.updater()
    ceremony.init(count=3, threshold=2)
    assert "remove it" in ceremony.run("status")
    remove_plain_keys()

    services.publish_targets(PROFILE, [second := stored(b"engine 2")])

    assert old_device.download(target.path) == b"engine"
    assert old_device.download(second.path) == b"engine 2"
    assert newest_version("root") == 2
    assert not keys.has_key("root")


def test_a_new_installation_has_no_plain_offline_key_at_any_time(
    tmp_path: Path, fetcher: RepositoryFetcher, ceremony: Ceremony
) -> None:
    ceremony.ask_init(ceremony.keys())
    services.ensure_repository()  # the server starts meanwhile
    assert selectors.newest("root") is None
    with pytest.raises(WaitsForSignature):
        services.publish_targets(PROFILE, [stored(b"engine")])
    ceremony.sign("root-1.pem")
    assert "lacks 1 of 1" in ceremony.take_in()
    ceremony.sign("targets-1.pem")
    ceremony.take_in()

    device = Device(tmp_path / "device", fetcher)
    device.updater()
    assert not keys.key_path("root").exists()
    assert not keys.key_path("targets").exists()


def test_new_profiles_wait_and_one_signature_lets_all_of_them_in(
    old_device: Device, ceremony: Ceremony
) -> None:
    ceremony.init()
    remove_plain_keys()
    first, second = stored(b"engine"), stored(b"other", OTHER)
    for profile, target in ((PROFILE, first), (OTHER, second), (PROFILE, first)):
        with pytest.raises(WaitsForSignature, match="trust request"):
            services.publish_targets(profile, [target])
    assert RoleWish.objects.filter(done_at=None).count() == 2
    assert not SignedTarget.objects.exists()

    own = fingerprint(keys.load_signer(f"profile-{PROFILE}").public_key)
    assert f"WISHED profile-{PROFILE}: {own}, made on this machine" in ceremony.run("status")
    ceremony.ask()
    said = ceremony.sign("targets-1.pem")
    assert f"the role profile-{PROFILE} GETS the key {own}" in said
    for profile in (PROFILE, OTHER):
        assert f"a NEW role profile-{profile} may vouch for {profile}/*/*" in said
    ceremony.take_in()

    for profile, target in ((PROFILE, first), (OTHER, second)):
        services.publish_targets(profile, [target])
        assert old_device.download(target.path) is not None
    assert not RoleWish.objects.filter(done_at=None).exists()


def test_a_threshold_of_two_takes_two_and_says_who_is_missing(
    old_device: Device, ceremony: Ceremony
) -> None:
    ceremony.init(count=3, threshold=2)
    remove_plain_keys()
    services.ensure_repository()
    with pytest.raises(WaitsForSignature):
        services.ensure_profile_role(PROFILE)
    ceremony.ask()
    ceremony.sign("targets-1.pem")
    said = ceremony.take_in()
    assert "targets lacks 1 of 2" in said
    assert "targets 2" in said
    assert newest_version("targets") == 2
    assert "has signed this request already" in ceremony.sign("targets-1.pem", status=1)
    assert "may sign nothing" in ceremony.sign("root-1.pem", status=1)
    ceremony.sign("targets-3.pem")
    ceremony.take_in()
    assert newest_version("targets") == 3


def test_signatures_that_come_in_two_files_are_put_together(
    old_device: Device, ceremony: Ceremony
) -> None:
    ceremony.init(count=2, threshold=2)
    remove_plain_keys()
    with pytest.raises(WaitsForSignature):
        services.ensure_profile_role(PROFILE)
    ceremony.ask()
    unsigned = ceremony.request.read_bytes()
    ceremony.sign("targets-1.pem")
    ceremony.take_in()
    ceremony.request.write_bytes(unsigned)
    ceremony.sign("targets-2.pem")
    assert "Published" in ceremony.take_in()


def test_asking_again_keeps_the_signatures_that_came(
    old_device: Device, ceremony: Ceremony
) -> None:
    ceremony.init(count=2, threshold=2)
    remove_plain_keys()
    with pytest.raises(WaitsForSignature):
        services.ensure_profile_role(PROFILE)
    ceremony.ask()
    ceremony.sign("targets-1.pem")
    ceremony.take_in()
    ceremony.ask()
    ceremony.sign("targets-2.pem")
    assert "Published" in ceremony.take_in()


def test_an_old_answer_publishes_nothing(old_device: Device, ceremony: Ceremony) -> None:
    ceremony.init()
    remove_plain_keys()
    with pytest.raises(WaitsForSignature):
        services.ensure_profile_role(PROFILE)
    ceremony.ask()
    ceremony.sign("targets-1.pem")
    ceremony.take_in()
    assert "export the request anew" in ceremony.take_in(status=1)
    with pytest.raises(WaitsForSignature):
        services.ensure_profile_role(OTHER)
    assert "export the request anew" in ceremony.take_in(status=1)
    assert SigningRequest.objects.filter(outcome="published").count() == 2


def test_a_request_that_was_changed_on_the_way_is_neither_signed_nor_taken(
    old_device: Device, ceremony: Ceremony
) -> None:
    ceremony.init()
    remove_plain_keys()
    with pytest.raises(WaitsForSignature):
        services.ensure_profile_role(PROFILE)
    ceremony.ask()
    ceremony.sign("targets-1.pem")
    text = ceremony.request.read_text()
    ceremony.request.write_text(text.replace(f"{PROFILE}/*/*", "*/*/*"))
    assert "older request" in ceremony.take_in(status=1)
    assert newest_version("targets") == 2


def test_a_server_that_tells_another_history_gets_no_signature(
    old_device: Device, ceremony: Ceremony
) -> None:
    ceremony.init()
    remove_plain_keys()
    with pytest.raises(WaitsForSignature):
        services.ensure_profile_role(PROFILE)
    ceremony.ask()
    ceremony.sign("targets-1.pem")
    ceremony.take_in()
    with pytest.raises(WaitsForSignature):
        services.ensure_profile_role(OTHER)
    ceremony.ask()
    text = ceremony.request.read_text()
    # As if the old profile had always had everybody's paths: nothing would look new.
    ceremony.request.write_text(text.replace(f'"{PROFILE}/*/*"', '"*/*/*"'))
    assert "not what the server serves" in ceremony.sign("targets-1.pem", status=1)


def test_keys_are_encrypted_and_open_with_their_passphrase_only(
    ceremony: Ceremony, tmp_path: Path
) -> None:
    folder = ceremony.keys(2)
    found = sorted(path.name for path in folder.glob("*.pem"))
    assert found == ["root-1.pem", "root-2.pem", "targets-1.pem", "targets-2.pem"]
    for path in folder.glob("*.pem"):
        assert b"BEGIN ENCRYPTED PRIVATE KEY" in path.read_bytes()
        assert path.stat().st_mode & 0o777 == 0o600
    services.ensure_repository()
    ceremony.ask_init(folder)
    ceremony.phrase.write_text("another long phrase\n")
    assert "does not open" in ceremony.sign("root-1.pem", status=1)
    ceremony.phrase.write_text("short\n")
    words = ("key", tmp_path / "x.pem", "--holder", "Ada", "--passphrase-file", ceremony.phrase)
    assert "at least 12" in ceremony.run(*words, status=1)
    assert not (tmp_path / "x.pem").exists()
    ceremony.phrase.write_text("another long phrase\n")
    words = ("keys", folder, "--passphrase-file", ceremony.phrase)
    assert "never written over" in ceremony.run(*words, status=1)


def test_without_a_terminal_and_a_file_no_passphrase_is_made_up(
    ceremony: Ceremony, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_terminal(prompt: str) -> str:
        raise EOFError

    monkeypatch.setattr("getpass.getpass", no_terminal)
    said = ceremony.run("key", tmp_path / "x.pem", "--holder", "Ada", status=1)
    assert "--passphrase-file" in said
    assert not (tmp_path / "x.pem").exists()


def test_only_yes_signs(
    old_device: Device, ceremony: Ceremony, monkeypatch: pytest.MonkeyPatch
) -> None:
    ceremony.ask_init(ceremony.keys())
    before = ceremony.request.read_bytes()
    monkeypatch.setattr("getpass.getpass", lambda prompt: PHRASE)
    key = ceremony.stick / "root-1.pem"
    for answer, status in (("", 1), ("y\n", 1), ("yes\n", 0)):
        monkeypatch.setattr("sys.stdin.readline", lambda answer=answer: answer, raising=False)
        ceremony.run("sign", ceremony.request, "--key", key, status=status)
        assert (ceremony.request.read_bytes() == before) == bool(status)


@pytest.mark.parametrize("content", ["", "{}", "[]", "no json", '{"kind": "other"}'])
def test_what_is_no_request_is_refused_in_a_sentence(ceremony: Ceremony, content: str) -> None:
    ceremony.request.write_text(content)
    assert "no signing request" in ceremony.run("show", ceremony.request, status=1)


def test_a_device_refuses_what_the_plain_keys_sign_after_the_hand_over(
    old_device: Device, ceremony: Ceremony, fetcher: RepositoryFetcher
) -> None:
    services.publish_targets(PROFILE, [stored(b"engine")])
    forged = selectors.metadata_file("2.targets.json")
    ceremony.init()
    fetcher.forged["metadata/3.targets.json"] = forged
    with pytest.raises(exceptions.RepositoryError):
        old_device.updater()


def test_a_rotation_that_is_asked_for_again_keeps_its_key_and_its_signatures(
    old_device: Device, ceremony: Ceremony
) -> None:
    ceremony.init(count=2, threshold=2)
    remove_plain_keys()
    ceremony.ask("online", command="rotate")
    ceremony.sign("root-1.pem")
    ceremony.take_in()
    ceremony.ask("online", command="rotate")
    ceremony.sign("root-2.pem")
    assert "Published" in ceremony.take_in()
    old_device.updater()


def test_metadata_of_people_are_loud_before_they_end_and_renewed_by_a_ceremony(
    old_device: Device, ceremony: Ceremony, monkeypatch: pytest.MonkeyPatch
) -> None:
    ceremony.init()
    remove_plain_keys()
    later(monkeypatch, 280)
    services.refresh_timestamp()
    said = ceremony.run("status", status=3)
    assert "OVERDUE  The metadata of root ends in 8" in said
    ceremony.ask()
    for role in ("root", "targets"):
        ceremony.sign(f"{role}-1.pem")
    ceremony.take_in()
    assert "OVERDUE" not in ceremony.run("status")
    assert "Nothing waits" in ceremony.run("request", "--to", ceremony.request, status=1)
    old_device.updater()


def test_a_keyholders_machine_needs_no_django(
    old_device: Device, ceremony: Ceremony, tmp_path: Path
) -> None:
    """No settings, no database: the commands of keyholders run without them."""
    ceremony.ask_init(ceremony.keys())
    code = (
        "import sys; from server.__main__ import main; status = main();"
        "sys.exit(status or int('django' in sys.modules))"
    )
    words = ["trust", "sign", "--yes", "--key", str(ceremony.stick / "root-1.pem")]
    words += ["--passphrase-file", str(ceremony.phrase), str(ceremony.request)]
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        env={"PATH": "", "PYTHONPATH": str(Path(__file__).parents[3])},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "root LOSES the key" in done.stdout.replace("the role root", "root")


def test_another_first_root_is_not_signed_by_who_has_signed_one(
    ceremony: Ceremony, tmp_path: Path, settings: Any
) -> None:
    ceremony.init(count=2, threshold=2)
    settings.DATA = tmp_path / "another-server"
    MetadataFile.objects.all().delete()
    ceremony.request.unlink()
    ceremony.ask_init(ceremony.stick)
    assert "has signed for one before" in ceremony.sign("root-1.pem", status=1)
    (ceremony.stick / "root-1.root.json").unlink()  # on purpose, by the person
    ceremony.sign("root-1.pem")


def test_a_root_that_a_key_signed_first_is_its_own_from_then_on(
    ceremony: Ceremony, old_device: Device
) -> None:
    ceremony.init(count=2, threshold=2)
    remove_plain_keys()
    said = ceremony.ask("online", command="rotate")
    said = ceremony.sign("root-1.pem")
    assert "has not signed before" not in said
    assert "root: version 3, after version 2" in said


def test_a_passphrase_is_asked_for_twice_on_the_terminal_and_not_shown(tmp_path: Path) -> None:
    """A real terminal, in a process of its own."""
    key = tmp_path / "ada.pem"
    words = [sys.executable, "-m", "server", "trust", "key", str(key), "--holder", "Ada"]
    for second, status in (("another phrase", 1), (PHRASE, 0)):
        child, terminal = pty.fork()
        if child == 0:
            os.chdir(Path(__file__).parents[3])
            os.execv(sys.executable, words)  # noqa: S606 - the process that owns the terminal
        shown = b""
        for phrase in (PHRASE, second):
            while not shown.rstrip(b" ").endswith(b":"):
                shown += os.read(terminal, 4096)
            os.write(terminal, f"{phrase}\n".encode())
            shown += b"|"
        with contextlib.suppress(OSError):  # how Linux says that the other end is closed
            while piece := os.read(terminal, 4096):
                shown += piece
        os.close(terminal)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == status, shown
        assert PHRASE.encode() not in shown
        assert key.exists() == (status == 0)
    assert b"BEGIN ENCRYPTED PRIVATE KEY" in key.read_bytes()
