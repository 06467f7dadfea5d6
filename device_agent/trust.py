"""The TUF client: what has been signed, by whom, and is still fresh."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import TypeVar

from tuf.api import exceptions
from tuf.ngclient.config import UpdaterConfig
from tuf.ngclient.fetcher import FetcherInterface
from tuf.ngclient.updater import Updater

from device_agent.admission import SignedTarget, clock_problem
from device_agent.errors import Rejected, Unavailable
from device_agent.files import make_folder, point_link, write_atomically
from device_agent.remote_files import PATIENCE, Patience, RemoteFiles, read_patiently
from inference_core.contract.words import FailureCause

_FROZEN_DELAY_S = 30.0
_MAX_METADATA_BYTES = 5_000_000
"""Also where the online keys promise more: they must not be able to fill memory."""

_T = TypeVar("_T")


class SignedTargets:
    """A fresh, verified view of the repository; make a new one for each deployment step.

    ``Rejected`` with cause untrusted: somebody without the keys has changed metadata.
    ``Unavailable``: the server is away, or updates are frozen because the metadata has expired
    or this device's clock cannot be right; both heal by themselves.
    """

    def __init__(
        self,
        files: RemoteFiles,
        folder: Path,
        root: bytes,
        time_floor: datetime | None,
        *,
        on_piece: Callable[[], None] = lambda: None,
        patience: Patience = PATIENCE,
    ) -> None:
        problem = clock_problem(datetime.now(timezone.utc), time_floor)
        if problem:
            raise Unavailable(f"updates are frozen: {problem}", delay_s=_FROZEN_DELAY_S)
        fetcher = _Fetcher(files, on_piece, patience)
        self._updater = _translated(lambda: _refreshed(fetcher, make_folder(folder), root))

    def find(self, path: str) -> SignedTarget | None:
        """What is signed under ``path``, or None."""
        info = _translated(lambda: self._updater.get_targetinfo(path))
        return SignedTarget(info.path, info.length, info.hashes, info.custom) if info else None


def _refreshed(fetcher: FetcherInterface, folder: Path, root: bytes) -> Updater:
    updater = _DurableUpdater(
        metadata_dir=str(folder),
        metadata_base_url="metadata/",
        fetcher=fetcher,
        config=UpdaterConfig(),
        bootstrap=root,
    )
    updater.refresh()
    return updater


class _DurableUpdater(Updater):
    """ngclient renames without fsync, and links root.json in two steps.

    A file that a power cut tears would cost the protection against metadata rollback. Both
    methods are private there: a test watches the system calls, and fails when they are renamed.
    """

    def _persist_file(self, filename: str, data: bytes) -> None:
        write_atomically(Path(filename), data)

    def _update_root_symlink(self) -> None:
        newest = f"root_history/{self._trusted_set.root.version}.root.json"
        link = Path(self._dir, "root.json")
        if not link.is_symlink() or str(link.readlink()) != newest:
            point_link(link, newest)


class _Fetcher(FetcherInterface):
    """Metadata under our own limits; the URL is a path below the repository."""

    def __init__(
        self, files: RemoteFiles, on_piece: Callable[[], None], patience: Patience
    ) -> None:
        self._files, self._on_piece, self._patience = files, on_piece, patience

    def _fetch(self, url: str) -> Iterator[bytes]:
        received = 0
        with self._files.open_file(url) as response:
            if response.status_code != 200:
                raise exceptions.DownloadHTTPError(
                    f"the server answered {response.status_code} for {url}", response.status_code
                )
            for piece in read_patiently(response, self._patience):
                received += len(piece)
                if received > _MAX_METADATA_BYTES:
                    raise exceptions.DownloadLengthMismatchError(
                        f"{url} is longer than {_MAX_METADATA_BYTES} bytes"
                    )
                yield piece
                self._on_piece()


def _translated(work: Callable[[], _T]) -> _T:
    """Run ``work`` and say in our two errors whose fault a failure is."""
    try:
        return work()
    except exceptions.ExpiredMetadataError as error:
        raise Unavailable(f"updates are frozen: {error}", delay_s=_FROZEN_DELAY_S) from error
    except (exceptions.RepositoryError, exceptions.DownloadLengthMismatchError) as error:
        raise _untrusted(error) from error
    except exceptions.DownloadHTTPError as error:
        raise Unavailable(str(error)) from error
    except exceptions.DownloadError as error:
        raise Unavailable(f"cannot fetch metadata: {error.__cause__ or error}") from error
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:  # a role name that no file can have
            raise _untrusted(error) from error
        raise


def _untrusted(error: Exception) -> Rejected:
    return Rejected(f"refused metadata: {error}", cause=FailureCause.UNTRUSTED)
