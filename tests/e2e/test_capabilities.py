"""What a fleet can do beside releases, with the real server, a real broker and a real agent.

The tests share one box and are told in order, as a day at the factory.
"""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from device_agent.status import Status
from tests.agent.agent_wheel import make_wheel
from tests.e2e.factory import REPOSITORY, Box, Factory, wait

pytestmark = pytest.mark.mosquitto

LINE, TRIAL, NEXT = "lines/sample-works/incoming-inspection", "trial", "board-inspection-next"
GOOD = "board-inspection-1"
SECRET = "correct-horse-battery"
A_DAY_MIN = 24 * 60
OPEN = {"time_zone": "UTC", "slots": [{"starts_at": "00:00", "duration_min": A_DAY_MIN}]}
POLICY = {"min_soak_s": 1, "min_frames": 3, "probation": {"min_frames": 3}}
CRASH = {
    "device_agent/agent.py": (
        "        with self._running():\n            self._systemd.ready()",
        "        with self._running():\n            raise RuntimeError('spoilt on purpose')",
    )
}


@pytest.fixture(scope="module")
def factory(data: Path, environment: dict[str, str], outcome: dict[str, Any]) -> Iterator[Factory]:
    """The server of the story, whose sample devices sleep."""
    assert outcome["ok"]
    factory = Factory(data, environment)
    try:
        factory.start()
        factory.client.post("groups", {"name": TRIAL, "title": "Trial"})
        yield factory
    finally:
        factory.stop()


@pytest.fixture(scope="module")
def box(factory: Factory, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """A box that runs the good release."""
    box = Box(tmp_path_factory.mktemp("box"), factory, "trial-box", TRIAL)
    (box.secrets / "mqtt").write_text(f"line:{SECRET}")
    try:
        box.start()
        box.wait(lambda: box.state_at_server == "accepted", "enrolled")
        pictures = factory.data / "cameras" / "sample-onnxruntime" / "images"
        sink = "mqtt://line@127.0.0.1:1/top?secret=mqtt"
        camera = {"name": "top", "address": pictures.as_uri(), "sinks": [sink]}
        box.change({"cameras": [camera | {"frames_per_s": 4.0, "mm_per_px": 0.2}]})
        assert roll_out(factory, box, GOOD) == "succeeded"
        yield box
    finally:
        box.stop()


def roll_out(factory: Factory, box: Box, release: str) -> str:
    """Start a rollout, and say how it ended."""
    rollout = start_rollout(factory, release)
    ended = ("succeeded", "stopped", "rolled_back")
    box.wait(lambda: state_of(factory, rollout) in ended, f"the end of the rollout of {release}")
    return state_of(factory, rollout)


def start_rollout(factory: Factory, release: str) -> str:
    wait(
        lambda: not factory.client.get(f"releases/{release}/preflight", group=TRIAL)["missing"],
        f"{release} signed",
    )
    stages = [{"share": 1.0}]
    body = {"name": f"Trial of {release}", "release": release, "group": TRIAL, "stages": stages}
    rollout = factory.client.post("rollouts", body | {"policy": POLICY, "start": True})
    return str(rollout["id"])


def state_of(factory: Factory, rollout: str) -> str:
    return str(factory.client.get(f"rollouts/{rollout}")["state"])


def gate_of(factory: Factory, rollout: str) -> str:
    return str(factory.client.get(f"rollouts/{rollout}")["reason"])


def test_a_deployment_waits_for_its_window_and_goes_when_it_is_opened(
    factory: Factory, box: Box
) -> None:
    pipeline = yaml.safe_load((REPOSITORY / "server" / "demo" / "pipeline.yaml").read_text())
    versions = {"board-defects": "1.0.0", "chip-marking": "4.0.0"}
    factory.client.post("releases", {"name": NEXT, "pipeline": pipeline, "versions": versions})
    in_three_days = (datetime.now(UTC) + timedelta(days=3)).weekday()
    slot = {"weekdays": [in_three_days], "starts_at": "10:00", "duration_min": 60}
    factory.client.patch(LINE, {"update_window": {"slots": [slot]}})
    before = box.row["running_sha256"]
    rollout = start_rollout(factory, NEXT)
    box.wait(lambda: "update window" in gate_of(factory, rollout), "the gate tells of the window")
    box.wait(lambda: "which opens" in " ".join(box.screen.split()), "the screen says when")
    assert box.row["running_sha256"] == before
    factory.client.patch(LINE, {"update_window": OPEN})
    box.wait(lambda: state_of(factory, rollout) == "succeeded", "activated in the open window")
    box.wait(lambda: box.status.running_release == NEXT, "the status says so")
    factory.client.patch(LINE, {"update_window": None})


def test_a_bell_brings_a_new_goal_to_a_box_that_would_not_ask(factory: Factory, box: Box) -> None:
    box.stop()
    box.start(min_poll_s=3600.0)
    box.wait(lambda: (box.status.push or "").startswith("connected"), "at the broker")
    box.wait(lambda: box.row["presence"] == "online", "online")
    policy = {"bytes_per_day": 1_000_000, "random_share": 1.0}
    others = dict.fromkeys(("uncertain_share", "disagreement_share", "diverse_share"), 0.0)
    box.change({"sample_every_s": 7.5, "sampling": policy | others})
    box.wait(lambda: box.goal["config"]["sample_every_s"] == 7.5, "rung")
    assert box.goal["config"]["sampling"]["bytes_per_day"] == 1_000_000
    box.stop()
    wait(lambda: box.row["presence"] == "offline", "offline as soon as it was stopped")
    box.start()


def test_logs_come_as_a_zip_without_secrets(factory: Factory, box: Box) -> None:
    asked = factory.client.post(f"devices/{box.id}/logs", {})
    box.wait(lambda: _log_request(factory, box, asked["id"])["received_at"], "the logs")
    with zipfile.ZipFile(io.BytesIO(factory.download(f"logs/{asked['id']}/bundle"))) as bundle:
        texts = {name: bundle.read(name).decode() for name in bundle.namelist()}
    key = (box.state / "identity" / "key.pem").read_text().splitlines()[1]
    assert {"agent.log", "child.log", "settings.json", "status.json"} <= set(texts)
    for secret in (SECRET, key, box.token):
        assert secret not in "".join(texts.values())
    assert json.loads(texts["settings.json"])["serial"] == box.serial
    assert "mqtt://***@127.0.0.1:1/top" in texts["device.json"]


def _log_request(factory: Factory, box: Box, request: str) -> dict[str, Any]:
    rows = factory.client.pages(f"devices/{box.id}/logs")
    return next(row for row in rows if row["id"] == request)


def test_a_release_in_the_shadow_is_counted_beside_the_one_that_decides(
    factory: Factory, box: Box
) -> None:
    body = {"group": TRIAL, "release": GOOD, "share": 1.0, "max_cpu_share": 1.0}
    run = factory.client.post("shadow-runs", body)
    path = f"shadow-runs/{run['id']}"
    box.wait(lambda: factory.client.get(path)["figures"], "figures of the shadow")
    figures = factory.client.get(path)["figures"][0]
    assert figures["pairs"] == figures["both_pass"] + figures["both_fail"] > 0
    assert figures["release_sha256"] == box.row["running_sha256"]
    shadow = figures["shadow_sha256"]
    box.wait(lambda: box.row["reported_shadow_sha256"] == shadow, "reported")
    line = f"Shadow    {shadow[:12]}  {GOOD}"
    box.wait(lambda: line in box.screen, "the shadow on the screen")
    factory.client.post(f"{path}/stop", {"reason": "seen enough"})
    box.wait(lambda: not box.row["reported_shadow_sha256"], "no shadow any more")


def test_a_box_keeps_its_arm_over_a_new_enrolment(factory: Factory, box: Box) -> None:
    device = box.id
    box.change({"variant": "arm-b"})
    box.wait(lambda: box.row["reported_variant"] == "arm-b", "the arm")
    box.stop()
    shutil.rmtree(box.state / "identity")
    box.forget_settings()
    box.start()
    box.wait(lambda: box.row["has_new_key"], "a new key")
    box.wait(lambda: "REFUSES" in box.screen, "the screen says who waits for whom")
    fingerprint = box.row["new_key_fingerprint"]
    factory.client.post(f"devices/{device}/accept", {"key_fingerprint": fingerprint})
    box.wait(lambda: not box.row["has_new_key"] and box.status.server_problem is None, "let in")
    box.wait(lambda: (box.status.push or "").startswith("connected"), "let in at the broker too")
    box.wait(lambda: box.status.variant == "arm-b", "the arm on the box")
    assert (box.id, box.row["variant"]) == (device, "arm-b")


def test_an_agent_brings_its_next_version_and_one_that_crashes_goes_back(
    factory: Factory, box: Box, tmp_path: Path
) -> None:
    for version, changes in (("7.0.1", {}), ("7.0.2", CRASH)):
        wheel = tmp_path / f"linewarden-{version}-py3-none-any.whl"
        wheel.write_bytes(make_wheel(version, changes=changes))
        factory.manage("publish_agent", str(wheel))
    factory.client.patch(f"groups/{TRIAL}", {"agent_release": "7.0.1"})
    box.wait(lambda: box.row["agent_version"] == "7.0.1", "the new agent")
    box.wait(lambda: _has_proven(box.status, "7.0.1"), "proven")
    factory.client.patch(f"groups/{TRIAL}", {"agent_release": "7.0.2"})
    box.wait(lambda: "agent-reverted" in box.event_names, "the crashing agent given up")
    box.wait(lambda: box.status.agent_version == "7.0.1", "the one before it runs")
    row = box.row
    assert (row["agent_version"], row["wanted_agent"]) == ("7.0.1", "7.0.2")
    box.wait(lambda: box.status.running_release == NEXT, "inference goes on")


def _has_proven(status: Status, version: str) -> bool:
    """By its own word: the file may still be that of the agent before it."""
    return status.agent_version == version and not status.is_on_trial
