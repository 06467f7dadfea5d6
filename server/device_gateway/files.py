"""The TUF repository as files: ranges, strong ETags, and what a cache may keep."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse

from server.device_gateway.doors import door, for_device
from server.fleet.models import Device
from server.lib import blobs
from server.trust.selectors import metadata_file, target_blob

_CHUNK_BYTES = 256 * 1024
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_IMMUTABLE = "private, max-age=31536000, immutable"
"""The name holds the version or the digest. Private: a shared cache would not ask for a token."""


@door("GET", "HEAD")
@for_device
def metadata(request: HttpRequest, device: Device, name: str) -> HttpResponseBase:  # noqa: ARG001 - any device may read
    """``GET tuf/metadata/<file>``: small, whole."""
    body = metadata_file(name)
    etag = f'"{hashlib.sha256(body).hexdigest()}"'
    caching = "no-cache, private" if name == "timestamp.json" else _IMMUTABLE
    headers = {"ETag": etag, "Cache-Control": caching}
    if request.headers.get("If-None-Match") == etag:
        return HttpResponse(status=304, headers=headers)
    return HttpResponse(body, content_type="application/json", headers=headers)


@door("GET", "HEAD")
@for_device
def target(request: HttpRequest, device: Device, path: str) -> HttpResponseBase:  # noqa: ARG001 - any device may read
    """``GET tuf/targets/<path>``: streamed, whole or one range (RFC 9110, section 14)."""
    signed = target_blob(path)
    return _send(request, signed.sha256, signed.length)


def send_blob(request: HttpRequest, sha256: str) -> HttpResponseBase:
    """Stored bytes, whole or one range, to whoever may have them."""
    with blobs.open_blob(sha256) as file:
        length = file.seek(0, os.SEEK_END)
    return _send(request, sha256, length)


def _send(request: HttpRequest, sha256: str, length: int) -> HttpResponseBase:
    etag = f'"{sha256}"'
    headers = {"ETag": etag, "Cache-Control": _IMMUTABLE, "Accept-Ranges": "bytes"}
    if request.headers.get("If-None-Match") == etag:
        return HttpResponse(status=304, headers=headers)
    part = _requested_part(request, etag, length)
    if part is None:
        return _stream(request, sha256, Part(0, length), 200, headers)
    if part.length <= 0:
        headers["Content-Range"] = f"bytes */{length}"
        return HttpResponse(status=416, headers=headers)
    last = part.start + part.length - 1
    headers["Content-Range"] = f"bytes {part.start}-{last}/{length}"
    return _stream(request, sha256, part, 206, headers)


@dataclass(frozen=True)
class Part:
    """A stretch of a file in bytes; no length: it lies outside."""

    start: int
    length: int


def read_range(header: str, total: int) -> Part | None:
    """The one range that ``header`` asks for; None (send all) where it is none, or several."""
    found = _RANGE.fullmatch(header.strip())
    if found is None or not any(found.groups()):
        return None
    first, last = found.groups()
    if not first:
        length = min(int(last), total)
        return Part(total - length, length)
    start, end = int(first), min(int(last or total), total - 1)
    if last and int(last) < start:
        return None
    return Part(start, end - start + 1)


def _requested_part(request: HttpRequest, etag: str, total: int) -> Part | None:
    header = request.headers.get("Range")
    if not header or request.headers.get("If-Range", etag) != etag:
        return None
    return read_range(header, total)


def _stream(
    request: HttpRequest, sha256: str, part: Part, status: int, headers: dict[str, str]
) -> HttpResponseBase:
    headers["Content-Length"] = str(part.length)
    content_type = "application/octet-stream"
    if request.method == "HEAD":
        return HttpResponse(status=status, headers=headers, content_type=content_type)
    file = blobs.open_blob(sha256, part.start)
    return StreamingHttpResponse(
        _chunks(file, part), status=status, headers=headers, content_type=content_type
    )


def _chunks(file: IO[bytes], part: Part) -> Iterator[bytes]:
    with file:
        left = part.length
        while left > 0 and (chunk := file.read(min(_CHUNK_BYTES, left))):
            left -= len(chunk)
            yield chunk
