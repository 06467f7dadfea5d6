"""Messages in folders: whole, once each, and in order."""

import multiprocessing
from collections.abc import Iterator
from pathlib import Path
from queue import Empty

import pytest
from kombu import Connection

from server.lib.broker import SCHEME

MESSAGES = 400


@pytest.fixture
def options(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "control").mkdir()
    return {
        "data_folder_in": str(tmp_path),
        "data_folder_out": str(tmp_path),
        "control_folder": str(tmp_path / "control"),
    }


@pytest.fixture
def connection(options: dict[str, str]) -> Iterator[Connection]:
    with Connection(f"{SCHEME}://", transport_options=options) as made:
        yield made


def send(options: dict[str, str], sender: int) -> None:
    with Connection(f"{SCHEME}://", transport_options=options) as connection:
        queue = connection.SimpleQueue("busy")
        for number in range(MESSAGES):
            queue.put({"sender": sender, "number": number, "padding": "x" * 2000})
        queue.close()


def test_a_reader_beside_busy_writers_sees_every_message_whole_and_once(
    options: dict[str, str], connection: Connection
) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=send, args=(options, sender)) for sender in range(2)]
    for writer in writers:
        writer.start()
    queue, seen = connection.SimpleQueue("busy"), []
    while len(seen) < 2 * MESSAGES:
        message = queue.get(timeout=30)
        seen.append((message.payload["sender"], message.payload["number"]))
        message.ack()
    for writer in writers:
        writer.join()
    assert len(set(seen)) == 2 * MESSAGES
    for sender in range(2):
        numbers = [number for who, number in seen if who == sender]
        assert numbers == sorted(numbers)


def test_a_queue_gets_only_what_was_sent_to_it(connection: Connection) -> None:
    connection.SimpleQueue("build.x86").put({"for": "x86"})
    other = connection.SimpleQueue("x86")
    with pytest.raises(Empty):
        other.get(block=False)
    assert connection.SimpleQueue("build.x86").get(timeout=5).payload == {"for": "x86"}
