"""The agent's TUF client before a repository that may be in anybody's hands."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from device_agent.admission import SignedTarget
from device_agent.trust import SignedTargets
from tests.faults.file_server import FileServer
from tests.faults.tuf_repository import TufRepository


class TufClient:
    """A device that keeps its metadata from one look to the next."""

    def __init__(self, folder: Path, server: FileServer, root: bytes) -> None:
        self.folder, self.server, self._root = folder, server, root

    def look(self) -> SignedTargets:
        """Refresh as a deployment does."""
        return SignedTargets(self.server.open(), self.folder, self._root, None)

    def find(self, path: str) -> SignedTarget | None:
        return self.look().find(path)

    def version(self, role: str) -> int:
        """What it trusts now."""
        document = json.loads((self.folder / f"{role}.json").read_bytes())
        return int(document["signed"]["version"])


@pytest.fixture
def tuf() -> TufRepository:
    return TufRepository()


@pytest.fixture
def files(tuf: TufRepository) -> Iterator[FileServer]:
    with FileServer(tuf.files).running() as server:
        yield server


@pytest.fixture
def client(tmp_path: Path, tuf: TufRepository, files: FileServer) -> TufClient:
    client = TufClient(tmp_path / "tuf", files, tuf.initial_root)
    client.look()
    return client
