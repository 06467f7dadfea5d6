"""Order of writes: SIGKILL keeps the page cache, so what a power cut would lose is asserted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from device_agent.database import open_database
from device_agent.files import point_link, write_atomically
from device_agent.store import Store


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The order of fsyncs and renames; the real ones still happen."""
    calls: list[str] = []
    fsync, replace = os.fsync, os.replace

    def name_of(descriptor: int) -> str:
        return Path(f"/proc/self/fd/{descriptor}").readlink().name.lstrip(".").split(".")[0]

    def record_fsync(descriptor: int) -> None:
        calls.append(f"fsync {name_of(descriptor)}")
        fsync(descriptor)

    def record_replace(source: str, target: Path) -> None:
        calls.append(f"rename {Path(target).name}")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", record_fsync)
    monkeypatch.setattr(os, "replace", record_replace)
    return calls


def test_a_file_is_durable_before_its_name_and_its_name_before_the_return(
    tmp_path: Path, calls: list[str]
) -> None:
    write_atomically(tmp_path / "key", b"secret", mode=0o600)
    assert calls == ["fsync key", "rename key", f"fsync {tmp_path.name}"]
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def no_space(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_previous_is_durable_before_current_is_switched(tmp_path: Path, calls: list[str]) -> None:
    store = Store(tmp_path / "state")
    calls.clear()
    store.switch("new", "old")
    assert calls == ["rename previous", "fsync state", "rename current", "fsync state"]
    assert (store.current, store.previous) == ("new", "old")


def test_switching_twice_is_harmless(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for _ in range(2):
        store.switch("new", "old")
    assert (store.current, store.previous) == ("new", "old")


def test_a_link_always_points_somewhere(tmp_path: Path, calls: list[str]) -> None:
    point_link(tmp_path / "current", "releases/a")
    point_link(tmp_path / "current", "releases/b")
    assert calls == ["rename current", f"fsync {tmp_path.name}"] * 2
    assert (tmp_path / "current").readlink() == Path("releases/b")


def test_databases_are_opened_for_power_cuts(tmp_path: Path) -> None:
    database = open_database(tmp_path / "x.sqlite", "CREATE TABLE IF NOT EXISTS t (a)")
    assert database.row("PRAGMA journal_mode")[0] == "wal"
    assert database.row("PRAGMA synchronous")[0] == 2  # FULL
    assert database.is_durable


def test_a_database_on_a_disk_that_takes_nothing_lives_in_memory(tmp_path: Path) -> None:
    database = open_database(tmp_path / "absent" / "x.sqlite", "CREATE TABLE t (a)")
    assert not database.is_durable
    assert database.rows("SELECT * FROM t") == []


def test_only_what_nothing_needs_is_pruned(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.blob_path("0" * 64).write_bytes(b"nobody needs it")
    (store.partial / f"{'1' * 64}.part").write_bytes(b"half of it")
    store.prune()
    assert not store.blob_path("0" * 64).exists()
    assert list(store.partial.iterdir()) == []


def test_nobody_else_may_put_or_replace_what_will_be_loaded(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    for name in ("blobs", "blobs/sha256", "releases"):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(0o777)
    Store(tmp_path)
    folders = [tmp_path, *(path for path in tmp_path.rglob("*") if path.is_dir())]
    assert [path for path in folders if path.stat().st_mode & 0o022] == []
