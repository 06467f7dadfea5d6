"""Files behind the artifact proxy, to a folder here: resumed, bounded, and whole or not at all."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import requests

from server.lib.errors import Invalid, TooLarge
from server.registry.mlflow.transport import CHUNK_BYTES, Broken, Transport, retried

OnBytes = Callable[[int], None]
"""Told how many bytes of the file are here, as they come; it may raise to end the download."""


def download(
    server: Transport, path: str, target: Path, *, max_bytes: int, on_bytes: OnBytes
) -> None:
    """Bring the file at ``path`` to ``target``; goes on where an earlier download broke off.

    Where the server does not give ranges, or the file changed since, it begins anew. Raises
    TooLarge past ``max_bytes``, Unavailable where it breaks off more often than is tried.
    """
    if target.exists():
        on_bytes(target.stat().st_size)
        return
    part = target.with_name(f"{target.name}.part")
    retried(lambda: _go_on(server, path, part, max_bytes, on_bytes))
    part.rename(target)
    _mark_of(part).unlink(missing_ok=True)


def _go_on(server: Transport, path: str, part: Path, max_bytes: int, on_bytes: OnBytes) -> None:
    have = part.stat().st_size if part.exists() else 0
    mark = _mark_of(part).read_text() if have and _mark_of(part).exists() else ""
    # Without a mark of what was begun, nobody can say that the rest belongs to it.
    headers = {"Range": f"bytes={have}-", "If-Range": mark} if mark else {}
    with server.stream(path, headers) as response:
        if response.status_code == 416:
            part.unlink(missing_ok=True)
            raise Broken("it has less of the file than is here")
        start = _start_of(response)
        if start not in (0, have):
            raise Invalid("The MLflow server sends another part of the file than was asked for.")
        _mark_of(part).write_text(_etag_of(response))
        _write(response, part, start, max_bytes, on_bytes)


def _write(
    response: requests.Response, part: Path, start: int, max_bytes: int, on_bytes: OnBytes
) -> None:
    length = start
    with part.open("r+b" if start else "wb") as file:
        file.seek(start)
        for chunk in response.iter_content(CHUNK_BYTES):
            length += len(chunk)
            if length > max_bytes:
                raise TooLarge(
                    f"The model is larger than the {max_bytes} bytes that are taken.",
                    max_bytes=max_bytes,
                )
            file.write(chunk)
            on_bytes(length)
    announced = response.headers.get("Content-Length", "")
    if announced.isdigit() and length - start != int(announced):
        raise Broken("the file broke off")


def _start_of(response: requests.Response) -> int:
    if response.status_code != 206:
        return 0
    found = re.match(r"bytes (\d{1,18})-", response.headers.get("Content-Range", ""))
    return int(found[1]) if found else -1


def _etag_of(response: requests.Response) -> str:
    """A strong one; a weak one says nothing of bytes."""
    etag = response.headers.get("ETag", "")
    return "" if etag.startswith("W/") else etag[:200]


def _mark_of(part: Path) -> Path:
    return part.with_name(f"{part.name}-mark")
