"""SIGKILL keeps the page cache, a power cut does not: the order of system calls is held here."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.agent.device import PROFILE, REPOSITORY, Device
from tests.agent.gateway_simulator import Simulator
from tests.agent.signed_repository import SignedRepository
from tests.faults.file_server import FileServer
from tests.faults.tuf_client import client, files, tuf
from tests.faults.tuf_repository import TufRepository

__all__ = ["client", "files", "tuf"]

pytestmark = pytest.mark.strace

_FSYNC = re.compile(r"f(?:data)?sync\(\d+<(.+?)>\)\s+= 0")
_RESUMED = re.compile(r"<\.\.\. \w+ resumed>(.*)")
_RENAME = re.compile(
    r'rename(?:at2?)?\((?:\w+(?:<.*?>)?, )?"(.+?)", (?:\w+(?:<.*?>)?, )?"(.+?)".*= 0'
)


class Trace:
    """What a command asked of the disk, in order: ("fsync", path) and ("rename", from, to)."""

    def __init__(self, folder: Path, command: Sequence[str]) -> None:
        self.path = folder / "trace"
        calls = "trace=fsync,fdatasync,rename,renameat,renameat2"
        strace = ["strace", "-f", "-y", "-s", "4096", "-e", calls, "-o", str(self.path)]
        self.result = subprocess.run(
            [*strace, *command],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        whole = _whole(self.path.read_text().splitlines())
        self.calls = [call for line in whole if (call := _call(line))]

    def assert_durable(self, target: Path, *, is_link: bool = False) -> None:
        """``target`` was durable under its old name before it took its name, which was then too."""
        for at, call in enumerate(self.calls):
            if call[0] == "rename" and Path(call[2]) == target:
                before, after = self.calls[:at], self.calls[at + 1 :]
                assert is_link or ("fsync", call[1]) in before, f"{call} without fsync before"
                folder = ("fsync", str(target.parent))
                assert folder in after, f"{call} without fsync of the folder after"
                return
        raise AssertionError(f"{target} was never renamed into place:\n{self.calls}")


def _whole(lines: Iterable[str]) -> Iterator[str]:
    """One line for each call, where it ended: strace splits those of threads that overlap."""
    begun: dict[str, str] = {}
    for line in lines:
        process, _, said = line.partition(" ")
        head, is_cut, _ = said.partition(" <unfinished ...>")
        if is_cut:
            begun[process] = head
        elif found := _RESUMED.match(said.strip()):
            yield begun.pop(process) + found[1]
        else:
            yield said


def _call(line: str) -> tuple[str, ...] | None:
    if found := _FSYNC.search(line):
        return ("fsync", found[1])
    if found := _RENAME.search(line):
        return ("rename", found[1], found[2])
    return None


def test_calls_that_overlap_are_read_whole_and_in_the_order_of_their_ends() -> None:
    lines = [
        "7  fsync(5</a/x.part> <unfinished ...>",
        "8  fsync(9</b>)                            = 0",
        "7  <... fsync resumed>)                   = 0",
        '7  rename("/a/x.part", "/a/x" <unfinished ...>',
        "8  fsync(9</a> <unfinished ...>",
        "7  <... rename resumed>)                   = 0",
        "8  <... fsync resumed>)                    = -1 EIO (Input/output error)",
    ]
    assert [call for line in _whole(lines) if (call := _call(line))] == [
        ("fsync", "/b"),
        ("fsync", "/a/x.part"),
        ("rename", "/a/x.part", "/a/x"),
    ]


def test_metadata_and_targets_are_durable_before_they_have_their_names(
    tmp_path: Path, tuf: TufRepository, files: FileServer
) -> None:
    tuf.rotate_root()
    tuf.delegate("profile-box", ["box/*"])
    tuf.add_target("box/file", b"content", role="profile-box")
    tuf.publish()
    (tmp_path / "root.json").write_bytes(tuf.initial_root)
    agent = [sys.executable, "-m", "device_agent", "tuf", "--metadata-dir", str(tmp_path / "tuf")]
    subprocess.run([*agent, "init", str(tmp_path / "root.json")], cwd=REPOSITORY, check=True)
    trace = Trace(
        tmp_path,
        [
            *agent,
            f"--metadata-url={files.url}/metadata",
            f"--target-base-url={files.url}/targets",
            f"--target-dir={tmp_path / 'down'}",
            "--target-name=box/file",
            "download",
        ],
    )
    assert trace.result.returncode == 0, trace.result.stderr
    for name in ("timestamp", "snapshot", "targets", "profile-box", "root_history/2.root"):
        trace.assert_durable(tmp_path / "tuf" / f"{name}.json")
    trace.assert_durable(tmp_path / "tuf" / "root.json", is_link=True)
    trace.assert_durable(tmp_path / "down" / "box%2Ffile")


def test_a_release_is_durable_before_current_points_to_it(
    device: Device, server: Simulator, repository: SignedRepository, tmp_path: Path
) -> None:
    release = repository.add_release("r1", profile=PROFILE, counter=1)
    server.assign(release)
    agent = [sys.executable, "-m", "device_agent", "--config", str(device.settings())]
    trace = Trace(tmp_path, [*agent, "once", "--timeout", "90"])
    assert trace.result.returncode == 0, trace.result.stderr
    blobs = device.state / "blobs" / "sha256"
    switch = device.state / "current"
    trace.assert_durable(switch, is_link=True)
    for path in (
        blobs / release.sha256,
        blobs / repository.artifact_of(release).sha256,
        device.state / "releases" / release.sha256 / "manifest.json",
    ):
        trace.assert_durable(path)
        assert _first(trace, path) < _first(trace, switch)


def _first(trace: Trace, target: Path) -> int:
    return next(
        at for at, call in enumerate(trace.calls) if call[0] == "rename" and Path(call[2]) == target
    )
