"""Verdicts of a device go where its configuration says, by the real agent and its real child."""

from __future__ import annotations

from pathlib import Path

import pytest

from inference_core.contract.device import DeviceConfig
from inference_core.contract.results import FrameResult
from inference_core.contract.serve import ServeJob
from tests.agent.device import PROFILE, Device
from tests.agent.gateway_simulator import ENROLMENT_TOKEN, Simulator
from tests.agent.signed_repository import SignedRepository


def test_the_child_gets_the_sinks_as_they_were_written_and_uses_those_it_can(
    device: Device, server: Simulator, repository: SignedRepository, tmp_path: Path
) -> None:
    verdicts = tmp_path / "output" / "verdicts.jsonl"
    sinks = ("pigeon://loft/7", "jsonl:///verdicts.jsonl?max_mb=1")
    release = repository.add_release("r1", profile=PROFILE, counter=1)
    server.assign(release, config=_config(device, *sinks))
    device.start(output_dir=str(tmp_path / "output"))
    device.wait(lambda: device.current == release.sha256, "committed in spite of a wrong sink")
    device.wait(verdicts.exists, "a verdict in the file")
    assert FrameResult.model_validate_json(_first_line(verdicts)).camera == "top"
    assert _job(device).cameras[0].sinks == sinks


def test_a_sink_that_is_added_later_is_used_without_a_new_release(
    device: Device, server: Simulator, repository: SignedRepository, tmp_path: Path
) -> None:
    release = repository.add_release("r1", profile=PROFILE, counter=1)
    server.assign(release)
    device.start(output_dir=str(tmp_path / "output"))
    device.wait(lambda: device.current == release.sha256, "committed")
    verdicts = tmp_path / "output" / "verdicts.jsonl"
    config = _config(device, "jsonl:///verdicts.jsonl")
    server.assign(release, config=config, with_deployment=False)
    device.wait(verdicts.exists, "a verdict in the file")
    assert device.current == release.sha256


def test_the_server_cannot_have_a_file_written_where_the_box_has_no_folder_for_it(
    device: Device, server: Simulator, repository: SignedRepository, tmp_path: Path
) -> None:
    told = tmp_path / "told.jsonl"
    release = repository.add_release("r1", profile=PROFILE, counter=1)
    server.assign(release, config=_config(device, f"jsonl://{told}", "jsonl:///told.jsonl"))
    device.start()
    device.wait(lambda: device.current == release.sha256, "committed in spite of its sinks")
    device.wait(lambda: _child_log(device).count("no sink: jsonl://") >= 2, "both refused")
    assert "set output_dir in the agent's settings at the box" in _child_log(device)
    assert not told.exists()


def test_the_child_gets_the_folders_of_the_settings_and_no_setting_of_the_agent(
    device: Device,
    server: Simulator,
    repository: SignedRepository,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LINEWARDEN_AGENT_ENROLMENT_TOKEN", ENROLMENT_TOKEN)
    monkeypatch.setenv("LINEWARDEN_OUTPUT_DIR", "/")
    monkeypatch.setenv("LINE_COLOUR", "green")
    server.assign(repository.add_release("r1", profile=PROFILE, counter=1))
    device.start(secrets_dir=str(tmp_path / "secrets"))
    device.wait(lambda: _environments(device), "a child")
    environment = _environments(device)[0]
    assert f"LINEWARDEN_SECRETS_DIR={tmp_path}/secrets" in environment
    assert "LINE_COLOUR=green" in environment
    assert not [line for line in environment if line.startswith("LINEWARDEN_AGENT_")]
    assert not [line for line in environment if line.startswith("LINEWARDEN_OUTPUT_DIR")]


def _environments(device: Device) -> list[list[str]]:
    """Of the children that have become what they were started for."""
    texts = [Path(f"/proc/{pid}/environ").read_text() for pid in device.children()]
    return [text.split("\0") for text in texts if text]


def _child_log(device: Device) -> str:
    path = device.state / "run" / "child.log"
    return path.read_text() if path.exists() else ""


def _config(device: Device, *sinks: str) -> DeviceConfig:
    config = device.config()
    cameras = tuple(camera.model_copy(update={"sinks": sinks}) for camera in config.cameras)
    return config.model_copy(update={"cameras": cameras})


def _job(device: Device) -> ServeJob:
    (path,) = (device.state / "run").glob("job-*.json")
    return ServeJob.model_validate_json(path.read_bytes())


def _first_line(path: Path) -> str:
    return path.read_text().splitlines()[0]
