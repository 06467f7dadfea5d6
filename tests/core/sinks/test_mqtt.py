"""Results to a real broker: acknowledged, kept while it is away, never with a secret in the log."""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from inference_core.pipeline.sinks import open_sink
from inference_core.pipeline.sinks.courier import Courier

from .mosquitto import Broker, Listener
from .results import frame, result, wait_until

pytestmark = pytest.mark.mosquitto


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    broker = Broker(tmp_path)
    yield broker
    broker.stop()


def send(courier: Courier, *sequences: int) -> None:
    for sequence in sequences:
        courier.write(frame(sequence), result(sequence))


def test_every_result_arrives_at_the_topic_in_order(broker: Broker) -> None:
    broker.start()
    listener = Listener(broker, "line1/verdicts")
    sink = open_sink(f"{broker.address}/line1/verdicts")
    send(sink, *range(50))
    sink.close(20)
    wait_until(lambda: len(listener.got) == 50)
    listener.close()
    assert listener.got == list(range(50))
    assert sink.account.delivered == 50


def test_a_broker_that_starts_late_dies_and_comes_back_misses_nothing(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    sink = open_sink(f"{broker.address}/line1")
    with caplog.at_level(logging.WARNING, "inference_core"):
        send(sink, 0)
        wait_until(lambda: "is lost" in caplog.text)
        broker.start()
        wait_until(lambda: sink.account.delivered == 1)
        wait_until(lambda: "is back" in caplog.text)
        broker.stop()
        send(sink, 1, 2)
        wait_until(lambda: caplog.text.count("is lost") == 2)
        broker.start()
        listener = Listener(broker, "line1")
        send(sink, 3)
        wait_until(lambda: sink.account.delivered == 4)
        wait_until(lambda: 3 in listener.got)
    listener.close()
    sink.close(20)
    assert sink.account.dropped == 0
    assert len(caplog.records) == 4


def test_user_and_password_are_sent_and_a_wrong_one_is_told_without_it(
    tmp_path: Path, secrets: Path, caplog: pytest.LogCaptureFixture
) -> None:
    passwords = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, "line", "hunter2"], check=True)
    broker = Broker(tmp_path, f"password_file {passwords}", is_open=False)
    secret = secrets / "line"
    secret.write_text("hunter3")
    broker.start()
    try:
        listener = Listener(broker, "t", username="line", password="hunter2")
        address = f"mqtt://line@127.0.0.1:{broker.port}/t?secret=line"
        refused = open_sink(address)
        send(refused, 0)
        wait_until(lambda: "Not authorized" in caplog.text)
        refused.close(20)
        secret.write_text("hunter2")
        sink = open_sink(address)
        send(sink, 1)
        wait_until(lambda: listener.got == [1])
        sink.close(20)
        listener.close()
    finally:
        broker.stop()
    assert "hunter" not in caplog.text


def test_a_topic_that_is_not_allowed_drops_and_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rules = tmp_path / "acl"
    rules.write_text("topic readwrite mine\n")
    broker = Broker(tmp_path, f"acl_file {rules}")
    broker.start()
    try:
        sink = open_sink(f"{broker.address}/theirs")
        send(sink, 0, 1)
        wait_until(lambda: sink.account.dropped == 2)
        sink.close(20)
    finally:
        broker.stop()
    assert caplog.text.count("refuses results") == 1


def test_tls_needs_the_right_authority(tmp_path: Path, secrets: Path) -> None:
    key, certificate = tmp_path / "key.pem", secrets / "cert.pem"
    make = ["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-days", "2"]
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(
        [*make, *subject, "-keyout", str(key), "-out", str(certificate)],
        check=True,
        capture_output=True,
    )
    broker = Broker(tmp_path, f"certfile {certificate}\nkeyfile {key}")
    broker.start()
    try:
        address = f"mqtts://127.0.0.1:{broker.port}/t"
        trusting, strict = open_sink(f"{address}?ca=cert.pem"), open_sink(address)
        send(trusting, 0)
        send(strict, 0)
        wait_until(lambda: trusting.account.delivered == 1)
        trusting.close(20)
        strict.close(20)
    finally:
        broker.stop()
    assert strict.account.delivered == 0
