"""Files of a repository: who opens them at an offset, and how patiently they are read."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import urllib3

from device_agent.errors import Unavailable
from device_agent.files import CHUNK_BYTES
from device_agent.web import requests

LATER = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses of a server that may answer otherwise next time."""

_SLOTS = 16


class RemoteFiles(Protocol):
    """Who opens files below ``metadata/`` and ``targets/``: the authorised session, or none."""

    def open_file(
        self, path: str, *, offset: int = 0, end: int | None = None
    ) -> AbstractContextManager[requests.Response]:
        """Stream ``path`` from ``offset``, up to ``end`` where that is given, which is left out.

        200 is the whole file, 206 what was asked for, 4xx a refusal.
        ``Unavailable`` when the server is away, also while its body is read.
        """


class PlainFiles:
    """Files of a repository that asks nobody who he is; ``addresses`` by folder."""

    def __init__(self, addresses: Mapping[str, str], *, timeout_s: float = 30.0) -> None:
        self._addresses = {folder: url.rstrip("/") for folder, url in addresses.items()}
        self._timeout_s = timeout_s
        self._session = new_session()

    @contextmanager
    def open_file(
        self, path: str, *, offset: int = 0, end: int | None = None
    ) -> Iterator[requests.Response]:
        """As ``RemoteFiles`` promises; a redirect is not followed."""
        folder, _, name = path.partition("/")
        with request(
            self._session,
            "GET",
            f"{self._addresses[folder]}/{name}",
            timeout_s=self._timeout_s,
            failing=f"cannot fetch {path}",
            headers=range_of(offset, end),
        ) as response:
            if response.status_code in LATER:
                raise Unavailable(f"the server answered {response.status_code} for {path}")
            yield response


def new_session() -> requests.Session:
    """A session for files whose digest is known."""
    session = requests.Session()
    session.headers["Accept-Encoding"] = "identity"  # ranges count stored bytes
    return session


def range_of(offset: int, end: int | None = None) -> dict[str, str]:
    """The header that asks for the rest of a file, or for bytes before ``end`` (RFC 9110, 14.2)."""
    if end is not None:
        return {"Range": f"bytes={offset}-{end - 1}"}
    return {"Range": f"bytes={offset}-"} if offset else {}


@contextmanager
def request(
    session: requests.Session,
    method: str,
    url: str,
    *,
    timeout_s: float,
    failing: str,
    **options: Any,
) -> Iterator[requests.Response]:
    """Stream an answer of any status; ``Unavailable`` where none comes, also half-way.

    A redirect is not followed: it must not carry a token, or this device, elsewhere.
    """
    try:
        with session.request(
            method,
            url,
            timeout=(timeout_s, timeout_s),
            stream=True,
            allow_redirects=False,
            **options,
        ) as response:
            yield response
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise Unavailable(f"{failing}: {error}") from error


@dataclass(frozen=True)
class Patience:
    """A server is given up when it sends less than this over a whole window of waiting."""

    min_rate_bytes_s: float = 512.0
    window_s: float = 30.0


PATIENCE = Patience()


def read_pieces(response: requests.Response) -> Iterator[bytes]:
    """Bytes as they arrive: a full buffer that never comes would hide a server that trickles."""
    while piece := response.raw.read1(CHUNK_BYTES, decode_content=False):
        yield piece


def read_patiently(response: requests.Response, patience: Patience) -> Iterator[bytes]:
    """Bytes as they arrive; ``Unavailable`` once they trickle.

    Only waiting is timed: a rate cap or a slow disk on this side is not held against the server.
    """
    watch = _Watch(patience)
    asked_at = time.monotonic()
    for piece in read_pieces(response):
        watch.count(len(piece), time.monotonic() - asked_at)
        yield piece
        asked_at = time.monotonic()


class _Watch:
    """Bytes in the last window of waiting, which slides: an early burst buys no second window."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._slots: deque[int] = deque([0], maxlen=_SLOTS)
        self._into_slot_s = 0.0

    def count(self, size: int, waited_s: float) -> None:
        slot_s = self._patience.window_s / _SLOTS
        least = self._patience.min_rate_bytes_s * self._patience.window_s
        self._into_slot_s += waited_s
        while self._into_slot_s >= slot_s:
            if len(self._slots) == _SLOTS and sum(self._slots) < least:
                rate = self._patience.min_rate_bytes_s
                raise Unavailable(f"the server sends less than {rate:g} bytes a second")
            self._slots.append(0)
            self._into_slot_s -= slot_s
        self._slots[-1] += size
