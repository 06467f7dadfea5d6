"""Row 14-16: bytes that are cut off, trickle, come from elsewhere or are not the signed ones."""

from __future__ import annotations

import hashlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from device_agent import downloads
from device_agent.downloads import Downloader
from device_agent.errors import Rejected, Unavailable
from device_agent.remote_files import Patience, PlainFiles
from device_agent.store import Store
from device_agent.trust import SignedTargets
from inference_core.contract.release import TargetRef
from inference_core.contract.words import FailureCause
from tests.faults.file_server import FileServer
from tests.faults.tuf_client import TufClient, client, files, tuf
from tests.faults.tuf_repository import TufRepository

__all__ = ["client", "files", "tuf"]

CONTENT = bytes(range(256)) * 4096
SHA256 = hashlib.sha256(CONTENT).hexdigest()
TARGET = TargetRef(path="box/artifacts/a", sha256=SHA256, length=len(CONTENT))
PLACE = f"targets/box/artifacts/{SHA256}.a"
IMPATIENT = Patience(min_rate_bytes_s=10_000, window_s=0.16)


@pytest.fixture
def server() -> Iterator[FileServer]:
    with FileServer({PLACE: CONTENT}).running() as server:
        yield server


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def fetch(server: FileServer, store: Store, patience: Patience = IMPATIENT) -> None:
    downloader = Downloader(server.open(), store.partial, disk_reserve_bytes=0, patience=patience)
    downloader.fetch(TARGET, store.blob_path(SHA256), None)


def part_of(store: Store) -> Path:
    return store.partial / f"{SHA256}.part"


def test_a_truncated_transfer_is_resumed_and_hashed_again(server: FileServer, store: Store) -> None:
    server.cut_after = 300_000
    with pytest.raises(Unavailable):
        fetch(server, store)
    had = part_of(store).stat().st_size
    assert had == 300_000
    server.cut_after = None
    fetch(server, store)
    assert store.holds_intact(SHA256)
    assert server.ranges == [f"bytes={had}-"]


def test_a_part_that_rotted_meanwhile_is_noticed_and_taken_anew(
    server: FileServer, store: Store
) -> None:
    part_of(store).write_bytes(b"?" + CONTENT[1:300_000])
    with pytest.raises(Unavailable, match="starting over"):
        fetch(server, store)
    fetch(server, store)
    assert store.holds_intact(SHA256)


def test_a_server_without_ranges_sends_it_all_again(server: FileServer, store: Store) -> None:
    part_of(store).write_bytes(CONTENT[:300_000])
    server.answers_ranges = "never"
    fetch(server, store)
    assert store.holds_intact(SHA256)


@pytest.mark.parametrize("how", ["elsewhere", "unsaid", "past the end"])
def test_a_range_that_was_not_asked_for_is_not_appended(
    server: FileServer, store: Store, how: str
) -> None:
    part_of(store).write_bytes(CONTENT[:300_000])
    server.answers_ranges = how  # type: ignore[assignment] - one of the words above
    with pytest.raises(Unavailable, match="starting over"):
        fetch(server, store)
    assert not part_of(store).exists()
    fetch(server, store)
    assert store.holds_intact(SHA256)


@pytest.mark.parametrize("burst", [0, 500_000])
def test_a_trickling_transfer_is_given_up_whatever_came_at_once_before(
    server: FileServer, store: Store, burst: int
) -> None:
    server.trickles, server.burst = "targets/", burst
    with pytest.raises(Unavailable, match="less than 10000 bytes a second"):
        fetch(server, store)
    kept = part_of(store).stat().st_size
    assert burst < kept < len(CONTENT)
    server.trickles = None
    fetch(server, store)
    assert server.ranges == [f"bytes={kept}-"]


def test_a_rate_cap_is_not_held_against_the_server(server: FileServer, store: Store) -> None:
    patience = Patience(min_rate_bytes_s=10**9, window_s=0.6)
    downloader = Downloader(server.open(), store.partial, disk_reserve_bytes=0, patience=patience)
    downloader.fetch(TARGET, store.blob_path(SHA256), 700_000)
    assert store.holds_intact(SHA256)


def test_under_a_rate_cap_no_answer_is_open_while_the_device_holds_back(
    server: FileServer, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else each such device holds a thread of the server, and a stage has more of them."""
    monkeypatch.setattr(downloads, "_WINDOW_S", 0.1)
    files = CountedFiles(server.open())
    open_in_rests = []

    def rest(seconds: float, sleep: Callable[[float], None] = time.sleep) -> None:
        open_in_rests.append(files.open_now)
        sleep(seconds)

    monkeypatch.setattr("device_agent.downloads.time.sleep", rest)
    downloader = Downloader(files, store.partial, disk_reserve_bytes=0)
    begun_s = time.monotonic()
    downloader.fetch(TARGET, store.blob_path(SHA256), 4_000_000)
    assert time.monotonic() - begun_s >= len(CONTENT) / 4_000_000
    assert store.holds_intact(SHA256)
    assert server.ranges == ["bytes=0-399999", "bytes=400000-799999", "bytes=800000-"]
    assert open_in_rests
    assert not any(open_in_rests)


def test_a_window_that_breaks_off_is_resumed_where_it_broke(
    server: FileServer, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "_WINDOW_S", 0.1)
    downloader = Downloader(server.open(), store.partial, disk_reserve_bytes=0)
    server.cut_after = 300_000
    with pytest.raises(Unavailable):
        downloader.fetch(TARGET, store.blob_path(SHA256), 4_000_000)
    server.cut_after = None
    downloader.fetch(TARGET, store.blob_path(SHA256), 4_000_000)
    assert store.holds_intact(SHA256)
    assert server.ranges[:2] == ["bytes=0-399999", "bytes=300000-699999"]


def test_a_server_without_ranges_sends_all_at_once_and_the_cap_is_kept(
    server: FileServer, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "_WINDOW_S", 0.1)
    server.answers_ranges = "never"
    downloader = Downloader(server.open(), store.partial, disk_reserve_bytes=0)
    begun_s = time.monotonic()
    downloader.fetch(TARGET, store.blob_path(SHA256), 4_000_000)
    assert time.monotonic() - begun_s >= len(CONTENT) / 4_000_000
    assert store.holds_intact(SHA256)
    assert len(server.ranges) == 1


class CountedFiles:
    """How many answers of ``files`` are open now."""

    def __init__(self, files: PlainFiles) -> None:
        self._files, self.open_now = files, 0

    @contextmanager
    def open_file(self, path: str, **stretch: Any) -> Iterator[requests.Response]:
        with self._files.open_file(path, **stretch) as response:
            self.open_now += 1
            try:
                yield response
            finally:
                self.open_now -= 1


def test_trickling_metadata_are_given_up(tuf: TufRepository, client: TufClient) -> None:
    tuf.publish()
    client.server.trickles = "metadata/"
    with pytest.raises(Unavailable, match="less than 10000 bytes a second"):
        SignedTargets(
            client.server.open(), client.folder, tuf.initial_root, None, patience=IMPATIENT
        )


def test_a_corrupt_artifact_is_never_kept(server: FileServer, store: Store) -> None:
    server.files[PLACE] = CONTENT[:-1] + b"?"
    with pytest.raises(Rejected, match="not the signed ones") as error:
        fetch(server, store)
    assert error.value.cause is FailureCause.UNTRUSTED
    assert not store.blob_path(SHA256).exists()
    assert not part_of(store).exists()


def test_a_file_that_never_ends_is_cut_off_at_its_signed_length(
    server: FileServer, store: Store
) -> None:
    server.endless = PLACE
    with pytest.raises(Rejected, match="longer than the signed") as error:
        fetch(server, store)
    assert error.value.cause is FailureCause.UNTRUSTED
    assert not part_of(store).exists()


def test_whatever_the_umask_nobody_else_may_write_what_will_be_loaded(
    server: FileServer, store: Store
) -> None:
    before = os.umask(0)
    try:
        fetch(server, store)
    finally:
        os.umask(before)
    assert store.blob_path(SHA256).stat().st_mode & 0o022 == 0
    assert store.partial.stat().st_mode & 0o022 == 0


def test_a_part_that_is_a_link_is_not_followed(
    server: FileServer, store: Store, tmp_path: Path
) -> None:
    foreign = tmp_path / "key"
    foreign.write_bytes(b"")
    part_of(store).symlink_to(foreign)
    with pytest.raises(OSError, match="symbolic links"):
        fetch(server, store)
    assert foreign.read_bytes() == b""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 1.5 MB: the target and its metadata fit once."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1536k", "tmpfs", str(disk)]
    if os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk needs root, and a kernel that lets root mount")
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_target_needs_its_space_only_once(server: FileServer, small_disk: Path) -> None:
    store = Store(small_disk)
    server.cut_after = 700_000
    with pytest.raises(Unavailable):
        fetch(server, store)
    server.cut_after, server.answers_ranges = None, "never"
    fetch(server, store)  # all of it again, in the place of the part
    assert store.holds_intact(SHA256)
    assert os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize < len(CONTENT)


def test_a_target_that_does_not_fit_is_refused_before_a_byte_is_fetched(
    server: FileServer, small_disk: Path
) -> None:
    store = Store(small_disk)
    (small_disk / "other").write_bytes(bytes(600_000))
    with pytest.raises(Rejected, match="are free") as error:
        fetch(server, store)
    assert error.value.cause is FailureCause.DISK_FULL
    assert server.requests == []
