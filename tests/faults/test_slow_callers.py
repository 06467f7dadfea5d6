"""Who sends slowly, or reads slowly, keeps nobody else waiting."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import pytest
import requests

from tests.server.uploads.product import Product

LIMIT_S = 30.0
MAKE_A_LARGE_FILE = """
import django; django.setup()
from server.lib import blobs
from server.registry.models import VisionModel
from tests.server.rows import version_row
blob = blobs.put_bytes(bytes(64 * 1024 * 1024))
version_row(VisionModel.objects.get(), "1", sha256=blob.sha256, length=blob.length)
print("made")
"""
DOZEN = 12


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    product = Product(tmp_path_factory.mktemp("product"))
    with product.running():
        yield product


@contextlib.contextmanager
def stalled(product: Product, request: bytes) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", product.port), LIMIT_S) as caller:
        caller.sendall(request)
        yield caller


def test_a_dozen_bodies_that_never_come_keep_nobody_waiting(product: Product) -> None:
    head = b"POST /device/v1/enrol HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    head += b"Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
    with contextlib.ExitStack() as callers:
        for _ in range(DOZEN):
            callers.enter_context(stalled(product, head))
        assert requests.get(f"{product.url}/sign-in/", timeout=LIMIT_S).status_code == 200


def test_a_dozen_who_do_not_read_what_they_asked_for_keep_nobody_waiting(product: Product) -> None:
    assert product.script(MAKE_A_LARGE_FILE) == "made"
    path = "/api/v1/models/board-defects/versions/1/file"
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {product.token}\r\n"
    with contextlib.ExitStack() as callers:
        for _ in range(DOZEN):
            caller = callers.enter_context(stalled(product, f"{head}\r\n".encode()))
            assert caller.recv(1000).startswith(b"HTTP/1.1 200")
        assert requests.get(f"{product.url}/sign-in/", timeout=LIMIT_S).status_code == 200
