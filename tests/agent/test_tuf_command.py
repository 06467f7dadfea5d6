"""``linewarden-agent tuf``: the public suite's command line, without settings or identity."""

from __future__ import annotations

from pathlib import Path

import pytest

from device_agent.cli import main
from tests.faults.file_server import FileServer
from tests.faults.tuf_client import files, tuf
from tests.faults.tuf_repository import TufRepository

__all__ = ["files", "tuf"]


@pytest.fixture
def trusted(tmp_path: Path, tuf: TufRepository) -> list[str]:
    """Arguments of a client that trusts the repository's root."""
    (tmp_path / "root.json").write_bytes(tuf.initial_root)
    arguments = ["tuf", "--metadata-dir", str(tmp_path / "trusted")]
    assert main([*arguments, "init", str(tmp_path / "root.json")]) == 0
    return arguments


def download(trusted: list[str], server: FileServer, folder: Path, *names: str) -> int:
    wanted = [f"--target-name={name}" for name in names]
    urls = [f"--metadata-url={server.url}/metadata", f"--target-base-url={server.url}/targets/"]
    return main([*trusted, *urls, *wanted, f"--target-dir={folder}", "download"])


def test_init_asks_nobody_and_refresh_brings_the_newest(
    tmp_path: Path, trusted: list[str], files: FileServer
) -> None:
    assert files.requests == []
    assert main([*trusted, f"--metadata-url={files.url}/metadata/", "refresh"]) == 0
    assert {path.stem for path in (tmp_path / "trusted").glob("*.json")} == {
        "root", "timestamp", "snapshot", "targets",
    }  # fmt: skip


def test_named_targets_are_brought_once(
    tmp_path: Path, tuf: TufRepository, trusted: list[str], files: FileServer
) -> None:
    tuf.add_target("box/one", b"1")
    tuf.add_target("two", b"2")
    tuf.publish()
    for _ in range(2):
        assert download(trusted, files, tmp_path / "down", "box/one", "two") == 0
    assert (tmp_path / "down" / "box%2Fone").read_bytes() == b"1"
    assert (tmp_path / "down" / "two").read_bytes() == b"2"
    assert len([path for path in files.requests if path.startswith("targets/")]) == 2


def test_it_stops_at_the_first_target_that_nobody_signed(
    tmp_path: Path, tuf: TufRepository, trusted: list[str], files: FileServer,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    tuf.add_target("two", b"2")
    tuf.publish()
    assert download(trusted, files, tmp_path / "down", "one", "two") == 1
    assert "nobody with a trusted key has signed one" in capsys.readouterr().err
    assert not (tmp_path / "down" / "two").exists()


def test_what_is_missing_is_named(
    tmp_path: Path, trusted: list[str], files: FileServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*trusted, "refresh"]) == 1
    assert "--metadata-url is missing" in capsys.readouterr().err
    stranger = ["tuf", "--metadata-dir", str(tmp_path / "empty")]
    assert main([*stranger, f"--metadata-url={files.url}/metadata", "refresh"]) == 1
    assert "run init with a root that you trust" in capsys.readouterr().err
