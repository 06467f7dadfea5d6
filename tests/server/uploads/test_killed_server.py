"""A real server, killed in the middle of an upload: what it acknowledged is there afterwards."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from server.uploads import client as command
from tests.core.onnx_models import brightness_manifest
from tests.servers import _wait_for_port, free_port

REPOSITORY = Path(__file__).resolve().parents[3]
LIMIT_S = 60.0
FILE_BYTES = 24 * 1024 * 1024 + 12_345
PREPARE = """
import django; django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
from server.accounts.models import Role, User
from server.accounts.services import assign_role, create_api_token
from tests.server import catalogue
user = User.objects.create_user("ci")
assign_role(user=user, role=Role.RELEASER, actor="test")
catalogue.vision_model()
print(create_api_token(user=user, name="ci", actor="test"))
"""
INSPECT = """
import django; django.setup()
from server.uploads.models import Upload
from server.uploads.services import inspect_upload
upload = Upload.objects.get()
inspect_upload(upload_id=upload.pk)
print(Upload.objects.get().state)
"""


class Product:
    """The web server as it is run, on a data folder of its own."""

    def __init__(self, data: Path) -> None:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("LINEWARDEN_")}
        self.environment = {
            **kept,
            "LINEWARDEN_DATA": str(data),
            "DJANGO_SETTINGS_MODULE": "server.config.settings",
        }
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.token = self.script(PREPARE)

    def script(self, text: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", text],
            cwd=REPOSITORY,
            env=self.environment,
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip().splitlines()[-1]

    @contextmanager
    def running(self) -> Iterator[None]:
        """Until the context ends; then all of it is killed, without a word."""
        web = ["--interface", "wsgi", "--no-ws", "--workers", "1", "--blocking-threads", "2"]
        process = subprocess.Popen(
            [sys.executable, "-m", "granian", *web, "--host", "127.0.0.1", "--port",
             str(self.port), "server.config.wsgi:application"],
            cwd=REPOSITORY,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        try:
            _wait_for_port(self.port, process)
            yield
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            self._wait_until_dead()

    def _wait_until_dead(self) -> None:
        """The kernel takes the worker down after its parent: until then it holds the port."""
        deadline = time.monotonic() + LIMIT_S
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == errno.ECONNREFUSED:
                    return
        raise AssertionError("the killed server still holds its port")


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Product:
    return Product(tmp_path_factory.mktemp("product"))


def test_sigkill_loses_no_acknowledged_byte_and_the_command_goes_on(
    product: Product,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file, manifest = tmp_path / "model.onnx", tmp_path / "manifest.json"
    file.write_bytes(os.urandom(FILE_BYTES))
    manifest.write_bytes(brightness_manifest().to_json())
    call = ["client", "--url", product.url, "model-version", "--model", "board-defects"]
    call += ["--manifest", str(manifest), "--version", "1", str(file)]
    monkeypatch.setenv("LINEWARDEN_TOKEN", product.token)
    monkeypatch.setattr(command, "LOOK_EVERY_S", 0.05)
    options = command._parser().parse_args(call[1:])
    server = command.Server(product.url, product.token)
    bearer = {"Authorization": f"Bearer {product.token}", **command.TUS}
    with product.running():
        at = command.begin(server, file, command._form(options))
        acknowledged = command._send_chunk(server, at, file, 0)
        acknowledged = command._send_chunk(server, at, file, acknowledged or 0)
        assert acknowledged == 2 * command.CHUNK_BYTES
        # One long request, as other clients send: the server dies while it comes.
        line = _half_a_request(product, at, bearer, file.read_bytes(), acknowledged)
        seen = _wait_for_more(product, at, bearer, acknowledged)
    line.close()
    with product.running():
        kept = requests.head(product.url + at, headers=bearer, timeout=10)
        assert int(kept.headers["Upload-Offset"]) >= seen
        assert command.begin(server, file, command._form(options)) == at
        command.send(server, at, file, command.Bar())
        assert requests.get(product.url + at, headers=bearer, timeout=10).json()["state"] == (
            "received"
        )
        # Random bytes are no model: the digest of the whole was right, or it would say so.
        assert product.script(INSPECT) == "refused"
        told = requests.get(product.url + at, headers=bearer, timeout=10).json()
        assert told["problem"]["inspection"] == "not_onnx"
    assert "100%" in capsys.readouterr().err
    assert hashlib.sha256(file.read_bytes()).hexdigest() == command.digest(file)


def _half_a_request(
    product: Product, at: str, bearer: dict[str, str], content: bytes, offset: int
) -> socket.socket:
    rest = content[offset:]
    headers = {
        **bearer,
        "Host": "127.0.0.1",
        "Content-Type": "application/offset+octet-stream",
        "Content-Length": str(len(rest)),
        "Upload-Offset": str(offset),
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    line = socket.create_connection(("127.0.0.1", product.port), timeout=30)
    line.sendall(f"PATCH {at} HTTP/1.1\r\n{head}\r\n".encode() + rest[: len(rest) // 2])
    return line


def _wait_for_more(product: Product, at: str, bearer: dict[str, str], offset: int) -> int:
    """Ask until more is acknowledged: parts count while their request is still coming."""
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        answer = requests.head(product.url + at, headers=bearer, timeout=10)
        found = int(answer.headers["Upload-Offset"])
        if found > offset:
            return found
    raise AssertionError("no part counts before its request is over")
