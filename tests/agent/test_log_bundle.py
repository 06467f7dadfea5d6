"""Log bundles: sent once to who asked, bounded, and without what opens a door."""

from __future__ import annotations

import hashlib
import io
import json
import os
import uuid
import zipfile
from pathlib import Path

import pytest

from device_agent.log_bundle import MAX_FILE_BYTES, Hider, make_bundle, read_tail
from inference_core.contract.device import DeviceConfig
from inference_core.contract.serve import Camera
from inference_core.contract.telemetry import MAX_LOGS_BYTES
from tests.agent.device import Device
from tests.agent.gateway_simulator import ENROLMENT_TOKEN, Simulator

JWT = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJib3gifQ.c2lnbmF0dXJl"


def ask(server: Simulator, request: uuid.UUID) -> None:
    with server.lock:
        generation = server.goal.generation + 1
        changes = {"generation": generation, "wanted_logs": request}
        server.goal = server.goal.model_copy(update=changes)


def read(bundle: bytes) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(bundle)) as files:
        return {name: files.read(name).decode() for name in files.namelist()}


def test_logs_are_sent_once_to_who_asked_also_over_restarts(
    device: Device, server: Simulator
) -> None:
    first, second = uuid.uuid4(), uuid.uuid4()
    ask(server, first)
    device.start()
    device.wait(lambda: server.logs, "a bundle")
    meta, bundle = server.logs[0]
    assert meta.request == first
    assert meta.sha256 == hashlib.sha256(bundle).hexdigest()
    texts = read(bundle)
    assert {"settings.json", "device.json", "facts.json", "health.json", "endings.txt"} <= set(
        texts
    )
    assert "enrolled as" in texts["agent.log"]
    device.wait((device.state / "logs" / "answered").exists, "noted that it was sent")
    device.kill()
    device.start()
    polls = len(server.reports)
    device.wait(lambda: len(server.reports) > polls + 3, "polls after a restart")
    assert len(server.logs) == 1
    ask(server, second)
    device.wait(lambda: len(server.logs) == 2, "the second bundle")
    assert server.logs[1][0].request == second


def test_a_server_that_is_away_gets_the_logs_when_it_is_back(
    device: Device, server: Simulator
) -> None:
    device.start()
    device.wait(lambda: server.reports, "the first poll")
    take, server.take_logs = server.take_logs, lambda *_: server_error()  # type: ignore[method-assign]
    ask(server, uuid.uuid4())
    device.wait(lambda: [path for _, path in server.requests].count("logs") >= 2, "tried twice")
    server.take_logs = take  # type: ignore[method-assign]
    device.wait(lambda: server.logs, "the bundle")
    assert device.log.count("the log bundle: lost") == 1


def test_a_request_that_nobody_waits_for_any_more_is_not_tried_again(
    device: Device, server: Simulator
) -> None:
    device.start()
    ask(server, uuid.uuid4())
    server.take_logs = lambda *_: refusal()  # type: ignore[method-assign]
    device.wait(lambda: "nobody takes the log bundle" in device.log, "told")
    polls = len(server.reports)
    device.wait(lambda: len(server.reports) > polls + 5, "more polls")
    assert [path for _, path in server.requests].count("logs") == 1


def test_no_secret_of_the_box_is_inside(device: Device, server: Simulator, tmp_path: Path) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "plc").write_text("line1:correct-horse-battery\n")
    camera = Camera(
        name="top",
        address="rtsp://viewer:hunter2@10.0.0.5/user=admin&password=hunter3&channel=1",
        sinks=("mqtt://plc-user@broker/line1?secret=plc",),
    )
    server.goal = server.goal.model_copy(update={"config": DeviceConfig(cameras=(camera,))})
    device.start(secrets_dir=str(secrets))
    device.wait(lambda: server.reports, "the first poll")
    key = (device.state / "identity" / "key.pem").read_text()
    said = [
        f"Authorization: Bearer {JWT}",
        f"the token {ENROLMENT_TOKEN} was taken",
        "cannot open rtsp://viewer:hunter2@10.0.0.5/stream?auth=hunter4: refused",
        "login with correct-horse-battery failed",
        'password = "hunter5"; api_key: hunter6',
        key,
    ]
    (device.state / "run" / "child.log").write_text("\n".join(said) + "\nharmless at the end\n")
    ask(server, uuid.uuid4())
    device.wait(lambda: server.logs, "a bundle")
    texts = read(server.logs[0][1])
    whole = "\n".join(texts.values())
    secret_words = [ENROLMENT_TOKEN, JWT, "correct-horse", *key.splitlines()[1:-1]]
    secret_words += [f"hunter{number}" for number in range(2, 7)]
    assert [word for word in secret_words if word in whole] == []
    assert "harmless at the end" in texts["child.log"]
    assert "10.0.0.5/stream" in texts["child.log"]
    shown = json.loads(texts["device.json"])["cameras"][0]
    assert shown["address"].startswith("rtsp://***@10.0.0.5/")
    assert json.loads(texts["settings.json"])["enrolment_token"] == "***"


def test_settings_without_a_token_stay_json() -> None:
    settings = '{"enrolment_token": null, "nullified_token": "nullify"}'
    hidden = json.loads(Hider(())(settings))
    assert hidden == {"enrolment_token": None, "nullified_token": "***"}


@pytest.mark.parametrize(
    "text",
    ["a-" * 200_000, "eyJ" * 200_000, "x" * 400_000, "password" * 50_000, "http" * 100_000],
)
def test_hiding_takes_no_time_that_grows_with_the_square_of_a_line(text: str) -> None:
    assert Hider(["secret-word"])(text + " secret-word") == text + " ***"


def test_each_file_is_cut_to_its_newest_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "agent.log"
    path.write_bytes(b"password=half\n" * 200_000)
    tail = read_tail(path)
    assert len(tail) <= MAX_FILE_BYTES
    assert tail.startswith("password=half\n")


def test_the_largest_logs_fit_into_what_the_server_takes() -> None:
    noise = os.urandom(MAX_FILE_BYTES // 2).hex()
    texts = {f"agent.log.{number}": noise for number in range(7)}
    assert len(make_bundle(texts)) < MAX_LOGS_BYTES


def server_error() -> object:
    from tests.agent.gateway_simulator import Answer

    return Answer(503, b"{}")


def refusal() -> object:
    from tests.agent.gateway_simulator import Answer

    return Answer(410, b"{}")
