"""A line's controller posts pictures: each is answered, each is accounted for."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator

import cv2
import pytest

from inference_core.contract.serve import Camera, FrameLost
from inference_core.pipeline.frames import Frame
from inference_core.pipeline.sources import BrokenSource, TriggerSource, open_source
from inference_core.pipeline.sources.trigger import QUEUE_LENGTH
from inference_core.pipeline.sources.trigger_door import MAX_BODY_BYTES

from .cameras import paint, read_number, take_until

TOKEN = "the-line's-word"
JPEG = cv2.imencode(".jpg", paint(3))[1].tobytes()


@pytest.fixture
def source() -> Iterator[TriggerSource]:
    address = f"trigger://127.0.0.1:0/?token={TOKEN}"
    source = open_source(Camera(name="press", address=address, mm_per_px=0.5))
    assert isinstance(source, TriggerSource)
    yield source
    source.close()


def post(
    source: TriggerSource, body: bytes, token: str = TOKEN, **headers: str
) -> tuple[int, dict[str, object]]:
    connection = http.client.HTTPConnection("127.0.0.1", source.port, timeout=10)
    sent = {"Authorization": f"Bearer {token}", **headers}
    connection.request("POST", "/", body, sent)
    answer = connection.getresponse()
    told = json.loads(answer.read())
    connection.close()
    return answer.status, told


def balance(source: TriggerSource) -> None:
    books = source.ledger
    assert books.captured == books.taken + sum(books.dropped.values()) + books.waiting


def test_a_posted_picture_is_a_frame(source: TriggerSource) -> None:
    assert post(source, JPEG) == (202, {"sequence": 0})
    assert post(source, cv2.imencode(".png", paint(9))[1].tobytes()) == (202, {"sequence": 1})
    assert source.ledger.waiting == 2
    first, second = source.take(), source.take()
    assert isinstance(first, Frame)
    assert isinstance(second, Frame)
    assert (first.sequence, read_number(first.picture), first.mm_per_px) == (0, 3, 0.5)
    assert (second.sequence, read_number(second.picture)) == (1, 9)
    assert first.captured_s <= second.captured_s
    assert not source.is_live
    balance(source)


def test_a_stranger_is_refused_and_changes_nothing(source: TriggerSource) -> None:
    status, told = post(source, JPEG, token="guessed")
    assert status == 401
    assert TOKEN not in str(told)
    assert source.ledger.captured == 0


def test_a_full_queue_says_so_and_the_part_is_told_as_lost(source: TriggerSource) -> None:
    for _ in range(QUEUE_LENGTH):
        assert post(source, JPEG)[0] == 202
    assert post(source, JPEG)[0] == 429
    balance(source)
    assert source.ledger.dropped == {"too_late": 1}
    taken = [source.take() for _ in range(QUEUE_LENGTH + 1)]
    assert [isinstance(item, Frame) for item in taken] == [True] * QUEUE_LENGTH + [False]
    assert post(source, JPEG)[0] == 202
    balance(source)


def test_what_is_no_picture_is_answered_and_told(source: TriggerSource) -> None:
    for body in (b"", b"no picture", JPEG[:200]):
        status, told = post(source, body)
        assert status == 400
        assert told["error"]
    lost = source.take()
    assert isinstance(lost, FrameLost)
    assert lost.cause == "corrupt_image"
    assert source.ledger.dropped == {"corrupt_image": 3}
    balance(source)


def test_too_much_is_refused_before_it_is_read(source: TriggerSource) -> None:
    with socket.create_connection(("127.0.0.1", source.port), timeout=10) as wire:
        head = f"POST / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"
        wire.sendall(f"{head}Content-Length: {MAX_BODY_BYTES + 1}\r\n\r\n".encode())
        assert wire.recv(100).startswith(b"HTTP/1.0 413")
    balance(source)


@pytest.mark.parametrize("length", ["-5", "1e3", "²", ""])
def test_a_length_that_is_no_number_is_refused(source: TriggerSource, length: str) -> None:
    with socket.create_connection(("127.0.0.1", source.port), timeout=10) as wire:
        head = f"POST / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"
        wire.sendall(f"{head}Content-Length: {length}\r\n\r\n".encode())
        assert wire.recv(100).startswith(b"HTTP/1.0 411")
    balance(source)


def test_a_sender_that_breaks_off_leaves_its_place(source: TriggerSource) -> None:
    with socket.create_connection(("127.0.0.1", source.port), timeout=10) as wire:
        head = f"POST / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"
        wire.sendall(f"{head}Content-Length: {len(JPEG)}\r\n\r\n".encode() + JPEG[:100])
    lost = take_until(source, lambda item: isinstance(item, FrameLost))[-1]
    assert isinstance(lost, FrameLost)
    assert lost.cause == "corrupt_image"
    assert source.ledger.waiting == 0
    balance(source)


def test_many_senders_at_once_are_all_accounted_for(source: TriggerSource) -> None:
    statuses: list[int] = []

    def send() -> None:
        for _ in range(4):
            statuses.append(post(source, JPEG)[0])  # noqa: PERF401 each as it is answered

    senders = [threading.Thread(target=send) for _ in range(6)]
    for sender in senders:
        sender.start()
    taken = [source.take() for _ in range(24)]
    for sender in senders:
        sender.join()
    assert sum(isinstance(item, Frame) for item in taken) == statuses.count(202)
    assert statuses.count(202) + statuses.count(429) == 24
    balance(source)


def test_a_source_that_is_closed_answers_whoever_waits(source: TriggerSource) -> None:
    told: list[object] = []
    taker = threading.Thread(target=lambda: told.append(source.take()))
    taker.start()
    source.close()
    taker.join(10)
    assert isinstance(told[0], FrameLost)


@pytest.mark.parametrize(
    "address",
    ["trigger://127.0.0.1/", "trigger://127.0.0.1:99999/", "trigger://0.0.0.0:0/", "trigger://:x/"],
)
def test_an_address_without_port_or_open_to_all_is_refused(address: str) -> None:
    source = open_source(Camera(name="press", address=address))
    assert isinstance(source, BrokenSource)


def test_without_a_host_it_listens_on_loopback_only() -> None:
    source = open_source(Camera(name="press", address="trigger://:0/"))
    assert isinstance(source, TriggerSource)
    assert source._door.server_address[0] == "127.0.0.1"
    source.close()


def test_a_port_in_use_is_no_input_and_no_crash(source: TriggerSource) -> None:
    other = open_source(Camera(name="press", address=f"trigger://127.0.0.1:{source.port}/"))
    assert isinstance(other, BrokenSource)
    lost = other.take()
    assert isinstance(lost, FrameLost)
    assert lost.cause == "no_input"
