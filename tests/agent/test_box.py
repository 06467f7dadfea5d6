"""What a box tells its server, and the person in front of it."""

from __future__ import annotations

import json
import subprocess
import sys

from inference_core.contract.telemetry import Health, Summary
from tests.agent.device import PROFILE, REPOSITORY, Device
from tests.agent.gateway_simulator import Simulator
from tests.agent.signed_repository import SignedRepository, digest
from tests.faults.evidence import bodies


def test_summaries_health_and_samples_reach_the_server(
    device: Device, server: Simulator, repository: SignedRepository
) -> None:
    release = repository.add_release("r1", profile=PROFILE, counter=1)
    server.assign(release)
    device.start()
    device.wait(lambda: server.samples, "a sample")
    device.wait(lambda: bodies(server, Health), "health")
    device.wait(lambda: bodies(server, Summary), "a summary")
    meta, image = server.samples[0]
    assert digest(image) == meta.sha256
    assert meta.release_sha256 == release.sha256
    assert meta.inclusion_probability == 1  # the first frame of a camera
    summary = bodies(server, Summary)[0]
    assert summary.frames == sum(summary.verdicts.values())
    assert summary.latency_ms["total"].count == summary.latency_ms["defects"].count
    health = bodies(server, Health)[0]
    assert health.agent_rss_bytes
    device.wait(lambda: not list((device.state / "spool").glob("*.jpg")), "an empty spool")


def test_a_device_without_a_token_says_where_to_put_one(device: Device, server: Simulator) -> None:
    result = device.once(enrolment_token=None)
    assert result.returncode == 2
    assert "enrolment_token_file" in result.stderr


def test_a_second_agent_on_the_same_folder_is_refused(device: Device, server: Simulator) -> None:
    device.start()
    device.wait(lambda: server.reports, "running")
    second = device.once()
    assert second.returncode == 2
    assert "another agent already works" in second.stderr


def test_status_tells_a_technician_where_the_device_stands(
    device: Device, server: Simulator, repository: SignedRepository
) -> None:
    release = repository.add_release("r1", profile=PROFILE, counter=1)
    server.assign(release)
    command = [sys.executable, "-m", "device_agent", "--config", str(device.settings()), "status"]

    def status(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *more], cwd=REPOSITORY, capture_output=True, text=True, check=False
        )

    device.start()
    device.wait(lambda: release.sha256[:12] in status().stdout, "shown")
    assert json.loads(status("--json").stdout)["is_running"] is True
    device.stop()
    assert status().returncode == 1
    assert "NOT running" in status().stdout


def test_a_device_with_a_wrong_token_says_so_and_keeps_trying(
    device: Device, server: Simulator
) -> None:
    device.start(enrolment_token="not-the-token-that-was-given")
    device.wait(lambda: "unknown or used up" in device.log, "told")
    assert device.stop() == 0
