"""A real server, killed in the middle of an upload: what it acknowledged is there afterwards."""

from __future__ import annotations

import hashlib
import os
import socket
import time
from pathlib import Path

import pytest
import requests

from server.uploads import client as command
from tests.core.onnx_models import brightness_manifest
from tests.server.uploads.product import LIMIT_S, Product

FILE_BYTES = 24 * 1024 * 1024 + 12_345
INSPECT = """
import django; django.setup()
from server.uploads.models import Upload
from server.uploads.services import inspect_upload
upload = Upload.objects.get()
inspect_upload(upload_id=upload.pk)
print(Upload.objects.get().state)
"""


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
