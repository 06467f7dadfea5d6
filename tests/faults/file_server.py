"""A repository's files over real HTTP, with the faults of a bad network or a bad server."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

from device_agent.remote_files import PlainFiles


class FileServer:
    """``files`` by path; the faults concern everything below ``targets/``, unless named others."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.requests: list[str] = []
        self.ranges: list[str] = []
        self.cut_after: int | None = None
        self.answers_ranges: Literal["well", "never", "elsewhere", "unsaid", "past the end"] = (
            "well"
        )
        self.trickles: str | None = None
        """What lies below this folder comes a byte at a time, after ``burst`` bytes."""
        self.burst = 0
        self.endless: str | None = None
        """This path never ends."""
        handler = type("Handler", (_Handler,), {"server_of": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._http.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def open(self) -> PlainFiles:
        """As a client sees it."""
        return PlainFiles({name: f"{self.url}/{name}" for name in ("metadata", "targets")})

    @contextlib.contextmanager
    def running(self) -> Iterator[FileServer]:
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()
        yield self
        self._http.shutdown()
        self._http.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_of: FileServer

    def log_message(self, *_: object) -> None:
        """Tests read ``requests`` instead."""

    def do_GET(self) -> None:
        server, path = self.server_of, self.path.lstrip("/")
        server.requests.append(path)
        content = server.files.get(path)
        if content is None:
            self.send_error(404)
            return
        with contextlib.suppress(ConnectionError):  # the client may give up at any time
            if path == server.endless:
                self._send_for_ever(content)
            else:
                self._send(path, content, self._asked())

    def _asked(self) -> tuple[int, int | None] | None:
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if not asked:
            return None
        self.server_of.ranges.append(asked[0])
        return int(asked[1]), int(asked[2]) + 1 if asked[2] else None

    def _send(self, path: str, content: bytes, asked: tuple[int, int | None] | None) -> None:
        server, total = self.server_of, len(content)
        how = server.answers_ranges
        if asked and how == "past the end":
            self.send_error(416)
            return
        if not asked or how == "never":
            self.send_response(200)
        else:
            self.send_response(206)
            begin, end = 0 if how == "elsewhere" else asked[0], asked[1] or total
            if how != "unsaid":
                self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{total}")
            content = content[begin:end]
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if path.startswith("targets/") and server.cut_after is not None:
            self.wfile.write(content[: server.cut_after])
            self.close_connection = True
        elif server.trickles and path.startswith(server.trickles):
            self._drip(content)
        else:
            self.wfile.write(content)

    def _drip(self, content: bytes) -> None:
        self.wfile.write(content[: self.server_of.burst])
        for byte in content[self.server_of.burst :]:
            self.wfile.write(bytes([byte]))
            time.sleep(0.01)

    def _send_for_ever(self, content: bytes) -> None:
        self.send_response(200)
        self.end_headers()
        self.close_connection = True
        self.wfile.write(content)
        while True:
            self.wfile.write(b" " * 65536)
