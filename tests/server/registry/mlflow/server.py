"""An MLflow server on loopback: real HTTP, with the answers that a real one gave.

``mlflow-3.17.2.json`` was recorded from ``mlflow server --serve-artifacts`` with three versions
of one model: weights beside the file, weights inside it, and a larger one. ``faults`` are what
such a server does on a bad day.
"""

from __future__ import annotations

import base64
import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

RECORD = Path(__file__).with_name("mlflow-3.17.2.json")


@dataclass
class Simulator:
    """What it answers, what it does wrong, and what it was asked."""

    url: str = ""
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    token: str = ""
    ranges: bool = True
    break_after: dict[str, int] = field(default_factory=dict)
    """End of an address: bytes after which the line breaks, once."""
    changes_after_break: bool = False
    fail: Counter[str] = field(default_factory=Counter)
    """End of an address: how often it answers 503 first."""
    redirects: str = ""
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Addresses, and the range that was wanted of each."""

    def body(self, end: str) -> dict[str, Any]:
        """The answer whose address ends so, to be changed by a test."""
        return next(a for path, a in self.answers.items() if path.endswith(end))

    def set_file(self, end: str, data: bytes) -> None:
        answer = self.body(end)
        answer.pop("json", None)
        answer["base64"] = base64.b64encode(data).decode()

    def file(self, end: str) -> bytes:
        return base64.b64decode(self.body(end)["base64"])


@contextmanager
def running() -> Iterator[Simulator]:
    """A simulator that answers until the block ends."""
    simulator = Simulator(answers=json.loads(RECORD.read_text()))

    class Handler(_Handler):
        told = simulator

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    simulator.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=[0.05])
    thread.start()
    try:
        yield simulator
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _plain(path: str) -> tuple[str, list[tuple[str, str]]]:
    parts = urlsplit(path)
    return parts.path, [pair for pair in parse_qsl(parts.query) if pair[0] != "max_results"]


class _Handler(BaseHTTPRequestHandler):
    told: Simulator

    def do_GET(self) -> None:
        told = self.told
        told.asked.append((self.path, self.headers.get("Range", "")))
        if told.redirects:
            self._send(302, b"", {"Location": told.redirects})
        elif told.token and self.headers.get("Authorization") != f"Bearer {told.token}":
            self._send(401, b"no", {})
        elif any(told.fail[end] > 0 and self._count(end) for end in list(told.fail)):
            self._send(503, b"busy", {})
        elif (answer := self._find()) is None:
            self._send(404, b'{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "none"}', {})
        else:
            self._answer(answer)

    def _find(self) -> dict[str, Any] | None:
        """The answer to this address, however long the pages are that are asked for."""
        return next(
            (a for p, a in self.told.answers.items() if _plain(p) == _plain(self.path)), None
        )

    def _count(self, end: str) -> bool:
        if not self.path.endswith(end):
            return False
        self.told.fail[end] -= 1
        return True

    def _answer(self, answer: dict[str, Any]) -> None:
        if "json" in answer:
            body = json.dumps(answer["json"]).encode()
        else:
            body = base64.b64decode(answer["base64"])
        headers, status = dict(answer["headers"]), answer["status"]
        start = self._start(answer, body)
        if start is not None:
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
            body, status = body[start:], 206
        self._send(status, body, headers)

    def _start(self, answer: dict[str, Any], body: bytes) -> int | None:
        wanted, mark = self.headers.get("Range"), self.headers.get("If-Range")
        if not (self.told.ranges and wanted) or mark != answer["headers"].get("etag"):
            return None
        return int(wanted.removeprefix("bytes=").removesuffix("-"))

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        end = next((e for e in self.told.break_after if self.path.endswith(e)), None)
        if end is not None:
            body = body[: self.told.break_after.pop(end)]
            self.close_connection = True
            if self.told.changes_after_break:
                self.told.answers[self.path]["headers"]["etag"] = '"another"'
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass
