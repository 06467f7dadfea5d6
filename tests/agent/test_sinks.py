"""Verdicts of a device go where its configuration says, by the real agent and its real child."""

from __future__ import annotations

from pathlib import Path

from inference_core.contract.device import DeviceConfig
from inference_core.contract.results import FrameResult
from inference_core.contract.serve import ServeJob
from tests.agent.device import PROFILE, Device
from tests.agent.gateway_simulator import Simulator
from tests.agent.signed_repository import SignedRepository


def test_the_child_gets_the_sinks_as_they_were_written_and_uses_those_it_can(
    device: Device, server: Simulator, repository: SignedRepository, tmp_path: Path
) -> None:
    verdicts = tmp_path / "verdicts.jsonl"
    sinks = ("pigeon://loft/7", f"{verdicts.as_uri()}?max_mb=1".replace("file:", "jsonl:"))
    release = repository.add_release("r1", profile=PROFILE, counter=1)
    server.assign(release, config=_config(device, *sinks))
    device.start()
    device.wait(lambda: device.current == release.sha256, "committed in spite of a wrong sink")
    device.wait(verdicts.exists, "a verdict in the file")
    assert FrameResult.model_validate_json(_first_line(verdicts)).camera == "top"
    assert _job(device).cameras[0].sinks == sinks


def test_a_sink_that_is_added_later_is_used_without_a_new_release(
    device: Device, server: Simulator, repository: SignedRepository, tmp_path: Path
) -> None:
    release = repository.add_release("r1", profile=PROFILE, counter=1)
    server.assign(release)
    device.start()
    device.wait(lambda: device.current == release.sha256, "committed")
    verdicts = tmp_path / "verdicts.jsonl"
    config = _config(device, verdicts.as_uri().replace("file:", "jsonl:"))
    server.assign(release, config=config, with_deployment=False)
    device.wait(verdicts.exists, "a verdict in the file")
    assert device.current == release.sha256


def _config(device: Device, *sinks: str) -> DeviceConfig:
    config = device.config()
    cameras = tuple(camera.model_copy(update={"sinks": sinks}) for camera in config.cameras)
    return config.model_copy(update={"cameras": cameras})


def _job(device: Device) -> ServeJob:
    (path,) = (device.state / "run").glob("job-*.json")
    return ServeJob.model_validate_json(path.read_bytes())


def _first_line(path: Path) -> str:
    return path.read_text().splitlines()[0]
