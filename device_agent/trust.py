"""The TUF client: what has been signed, by whom, and is still fresh."""

from __future__ import annotations

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
from device_agent.files import make_folder, sync_tree
from device_agent.gateway import Gateway, read_pieces
from inference_core.contract.words import FailureCause

_FROZEN_DELAY_S = 30.0
_T = TypeVar("_T")


class SignedTargets:
    """A fresh, verified view of the repository; make a new one for each deployment step.

    ``Rejected`` with cause untrusted: somebody without the keys has changed metadata.
    ``Unavailable``: the server is away, or updates are frozen because the metadata has expired
    or this device's clock cannot be right; both heal by themselves.
    """

    def __init__(
        self, gateway: Gateway, folder: Path, root: bytes, time_floor: datetime | None
    ) -> None:
        problem = clock_problem(datetime.now(timezone.utc), time_floor)
        if problem:
            raise Unavailable(f"updates are frozen: {problem}", delay_s=_FROZEN_DELAY_S)
        self._folder = make_folder(folder)
        self._updater = _translated(lambda: self._open(gateway, root))

    def find(self, path: str) -> SignedTarget | None:
        """What is signed under ``path``, or None."""
        info = _translated(lambda: self._updater.get_targetinfo(path))
        # ngclient renames without fsync; a torn file after a power cut would lose the
        # protection against metadata rollback.
        sync_tree(self._folder)
        return SignedTarget(info.path, info.length, info.hashes, info.custom) if info else None

    def _open(self, gateway: Gateway, root: bytes) -> Updater:
        updater = Updater(
            metadata_dir=str(self._folder),
            metadata_base_url="metadata/",
            fetcher=_GatewayFetcher(gateway),
            config=UpdaterConfig(),
            bootstrap=root,
        )
        updater.refresh()
        return updater


class _GatewayFetcher(FetcherInterface):
    """Metadata over the gateway's authorised session; the URL is a path below ``/tuf``."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def _fetch(self, url: str) -> Iterator[bytes]:
        with self._gateway.open_file(url) as response:
            if response.status_code != 200:
                raise exceptions.DownloadHTTPError(
                    f"the server answered {response.status_code} for {url}", response.status_code
                )
            yield from read_pieces(response)


def _translated(work: Callable[[], _T]) -> _T:
    """Run ``work`` and say in our two errors whose fault a failure is."""
    try:
        return work()
    except exceptions.ExpiredMetadataError as error:
        raise Unavailable(f"updates are frozen: {error}", delay_s=_FROZEN_DELAY_S) from error
    except exceptions.RepositoryError as error:
        raise Rejected(f"refused metadata: {error}", cause=FailureCause.UNTRUSTED) from error
    except exceptions.DownloadLengthMismatchError as error:
        raise Rejected(f"refused metadata: {error}", cause=FailureCause.UNTRUSTED) from error
    except exceptions.DownloadHTTPError as error:
        raise Unavailable(str(error)) from error
    except exceptions.DownloadError as error:
        raise Unavailable(f"cannot fetch metadata: {error.__cause__ or error}") from error
