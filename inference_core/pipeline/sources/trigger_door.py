"""The HTTP side of a trigger: who may post, how much, and what is answered."""

from __future__ import annotations

import hmac
import json
import logging
import socket
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

from inference_core.errors import BadInput

MAX_BODY_BYTES = 32 * 1024 * 1024
MAX_SENDERS = 32
_SOCKET_TIMEOUT_S = 10.0
_LONGEST_BODY_S = 30.0
_CHUNK_BYTES = 64 * 1024
_log = logging.getLogger(__name__)


class Taker(Protocol):
    """What stands behind the door."""

    def reserve(self) -> bool:
        """Counts a trigger; False where there is no place for its picture."""

    def accept(self, data: bytes) -> int:
        """Puts a picture in its place; its sequence. Raises ``BadInput``."""

    def give_up(self, reason: str) -> None:
        """Frees the place."""


class Door(ThreadingHTTPServer):
    """Listens for one trigger source; a thread a sender, and no more than ``MAX_SENDERS``."""

    daemon_threads = True

    def __init__(self, place: tuple[str, int], taker: Taker, token: str | None) -> None:
        self.taker, self.token = taker, token
        self._senders = threading.BoundedSemaphore(MAX_SENDERS)
        self.address_family = socket.AF_INET6 if ":" in place[0] else socket.AF_INET
        super().__init__(place, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """One sender too many is cut off: it may try again."""
        if self._senders.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """In the sender's thread."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._senders.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """To the log: a sender that breaks off must not fill standard error."""
        del request
        _log.info("trigger: %s broke off", client_address[0], exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    """POST a JPEG, PNG or BMP as the body; with a token, ``Authorization: Bearer TOKEN``."""

    server: Door
    timeout = _SOCKET_TIMEOUT_S
    server_version, sys_version = "linewarden", ""

    def do_POST(self) -> None:
        """One picture."""
        if not self._may_send():
            self._answer(HTTPStatus.UNAUTHORIZED, error="the token is absent or wrong")
        elif not self.server.taker.reserve():
            self._answer(HTTPStatus.TOO_MANY_REQUESTS, error="too many pictures wait; send later")
        else:
            self._take_in()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 the name of the base
        """To the log, not to standard error; without the path, which may hold a token."""
        del format
        _log.debug("trigger: %s", args[1:])

    def _may_send(self) -> bool:
        if self.server.token is None:
            return True
        given = self.headers.get("Authorization", "")
        return hmac.compare_digest(given.encode(), f"Bearer {self.server.token}".encode())

    def _take_in(self) -> None:
        """A reserved place is filled or freed, whatever the sender does."""
        status, answer = HTTPStatus.BAD_REQUEST, "the body is no picture"
        sequence: int | None = None
        try:
            status, data = self._read_body()
            if status is HTTPStatus.OK:
                status, sequence = HTTPStatus.ACCEPTED, self.server.taker.accept(data)
            else:
                answer = _REFUSALS[status]
        except BadInput as error:
            status, answer = HTTPStatus.BAD_REQUEST, str(error)
        except OSError as error:
            answer = f"the sender went away: {type(error).__name__}"
            self.close_connection = True
        finally:
            if sequence is None:
                self.server.taker.give_up(answer)
        if sequence is None:
            self._answer(status, error=answer)
        else:
            self._answer(status, sequence=sequence)

    def _read_body(self) -> tuple[HTTPStatus, bytes]:
        """OK with the whole body, or why it is not read."""
        stated = self.headers.get("Content-Length", "")
        if not (stated.isascii() and stated.isdigit()):
            return HTTPStatus.LENGTH_REQUIRED, b""
        if int(stated) > MAX_BODY_BYTES:
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE, b""
        data = self._read_in_time(int(stated))
        return (HTTPStatus.OK if len(data) == int(stated) else HTTPStatus.BAD_REQUEST), data

    def _read_in_time(self, size: int) -> bytes:
        """Short where the sender ends, or dribbles: a place is not kept for ever."""
        end_s, data = time.monotonic() + _LONGEST_BODY_S, bytearray()
        while len(data) < size and time.monotonic() < end_s:
            chunk = self.rfile.read1(min(size - len(data), _CHUNK_BYTES))
            if not chunk:
                break
            data += chunk
        return bytes(data)

    def _answer(self, status: HTTPStatus, **fields: object) -> None:
        body = json.dumps(fields).encode()
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)
        except OSError as error:
            _log.info("trigger: the sender did not wait for its answer: %s", error)
        self.close_connection = True


_REFUSALS = {
    HTTPStatus.LENGTH_REQUIRED: "say Content-Length; chunks are not taken",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: f"a picture has at most {MAX_BODY_BYTES} bytes",
    HTTPStatus.BAD_REQUEST: "the body is shorter than Content-Length says",
}
