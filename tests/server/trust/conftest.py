from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import Updater, UpdaterConfig
from tuf.ngclient.fetcher import FetcherInterface

from server.lib import blobs
from server.lib.errors import NotFound
from server.trust import selectors
from tests.server.trust.ceremony import Ceremony


class RepositoryFetcher(FetcherInterface):
    """Serves what the selectors give; ``forged`` are answers of somebody in between."""

    def __init__(self) -> None:
        self.forged: dict[str, bytes] = {}

    def _fetch(self, url: str) -> Iterator[bytes]:
        if url in self.forged:
            return iter([self.forged[url]])
        try:
            kind, _, name = url.partition("/")
            if kind == "metadata":
                return iter([selectors.metadata_file(name)])
            return iter([blobs.read(selectors.target_blob(name).sha256)])
        except NotFound as error:
            raise DownloadHTTPError(error.detail, 404) from error


@pytest.fixture(autouse=True)
def own_keys(tmp_path: Path, settings: Any) -> None:
    settings.DATA = tmp_path / "data"


@pytest.fixture
def fetcher() -> RepositoryFetcher:
    return RepositoryFetcher()


class Device:
    """A real TUF client with a folder of its own."""

    def __init__(self, folder: Path, fetcher: RepositoryFetcher) -> None:
        self.folder, self.fetcher = folder, fetcher
        self.root = selectors.root_json().encode()

    def updater(self) -> Updater:
        (self.folder / "targets").mkdir(parents=True, exist_ok=True)
        updater = Updater(
            metadata_dir=str(self.folder / "metadata"),
            metadata_base_url="metadata/",
            target_dir=str(self.folder / "targets"),
            target_base_url="targets/",
            fetcher=self.fetcher,
            config=UpdaterConfig(prefix_targets_with_hash=True),
            bootstrap=self.root,
        )
        updater.refresh()
        return updater

    def download(self, path: str) -> bytes | None:
        updater = self.updater()
        info = updater.get_targetinfo(path)
        return Path(updater.download_target(info)).read_bytes() if info else None


@pytest.fixture
def ceremony(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Ceremony:
    return Ceremony(tmp_path, capsys)
