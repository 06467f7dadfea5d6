"""Results to a web server: signed, repeated only where that helps."""

from __future__ import annotations

import hashlib
import hmac
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from inference_core.contract.results import FrameResult
from inference_core.pipeline.sinks import open_sink
from inference_core.pipeline.sinks.courier import Courier
from tests.servers import free_port

from .results import frame, result, wait_until


@dataclass
class Post:
    path: str
    body: bytes
    headers: dict[str, str]

    @property
    def sequence(self) -> int:
        return FrameResult.model_validate_json(self.body).sequence


class WebServer:
    """Answers with the codes that it is given, then with 204."""

    def __init__(self, port: int = 0) -> None:
        posts: list[Post] = []
        answers: list[int] = []

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                posts.append(Post(self.path, body, dict(self.headers)))
                self.send_response(answers.pop(0) if answers else 204)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self.posts, self.answers = posts, answers
        self.connections: list[object] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def server() -> Iterator[WebServer]:
    server = WebServer()
    yield server
    server.stop()


def send(courier: Courier, *sequences: int) -> None:
    for sequence in sequences:
        courier.write(frame(sequence), result(sequence))


def test_a_result_is_posted_as_json_to_the_path_and_query(server: WebServer) -> None:
    sink = open_sink(f"http://127.0.0.1:{server.port}/hooks/line1?line=7")
    send(sink, 1, 2)
    sink.close(10)
    assert [post.sequence for post in server.posts] == [1, 2]
    post = server.posts[0]
    assert post.path == "/hooks/line1?line=7"
    assert post.body == result(1).to_json()
    assert post.headers["Content-Type"] == "application/json"
    assert "Linewarden-Signature" not in post.headers


def test_a_secret_signs_time_and_body(server: WebServer, secrets: Path) -> None:
    (secrets / "hook").write_text("hunter2\n")
    sink = open_sink(f"http://127.0.0.1:{server.port}/hook?secret=hook")
    send(sink, 1)
    sink.close(10)
    post = server.posts[0]
    assert "secret" not in post.path
    at, signature = (
        part.partition("=")[2] for part in post.headers["Linewarden-Signature"].split(",")
    )
    expected = hmac.new(b"hunter2", at.encode() + b"." + post.body, hashlib.sha256).hexdigest()
    assert signature == expected
    assert abs(int(at) - time.time()) < 60


@pytest.mark.parametrize("answer", [429, 500, 503])
def test_what_may_pass_is_repeated_with_the_same_delivery_number(
    server: WebServer, answer: int
) -> None:
    server.answers.append(answer)
    sink = open_sink(f"http://127.0.0.1:{server.port}/")
    send(sink, 1)
    wait_until(lambda: sink.account.delivered == 1)
    sink.close(10)
    assert [post.sequence for post in server.posts] == [1, 1]
    assert len({post.headers["Linewarden-Delivery"] for post in server.posts}) == 1


@pytest.mark.parametrize("answer", [301, 400, 401, 404, 422])
def test_what_the_server_does_not_want_is_never_repeated(server: WebServer, answer: int) -> None:
    server.answers.append(answer)
    sink = open_sink(f"http://127.0.0.1:{server.port}/")
    send(sink, 1, 2)
    sink.close(10)
    assert [post.sequence for post in server.posts] == [1, 2]
    assert (sink.account.delivered, sink.account.dropped) == (1, 1)


def test_a_server_that_starts_late_and_dies_in_the_middle_misses_nothing() -> None:
    port = free_port()
    sink = open_sink(f"http://127.0.0.1:{port}/")
    send(sink, 1)
    first = WebServer(port)
    wait_until(lambda: len(first.posts) == 1)
    wait_until(lambda: sink.account.delivered == 1)
    first.stop()
    send(sink, 2)
    second = WebServer(port)
    try:
        wait_until(lambda: any(post.sequence == 2 for post in [*first.posts, *second.posts]))
        send(sink, 3)
        wait_until(lambda: sink.account.delivered == 3)
        sink.close(10)
    finally:
        second.stop()
    assert sink.account.dropped == 0


def test_the_connection_is_kept(server: WebServer) -> None:
    sink = open_sink(f"http://127.0.0.1:{server.port}/")
    send(sink, *range(20))
    sink.close(10)
    assert [post.sequence for post in server.posts] == list(range(20))
