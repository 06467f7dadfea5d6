"""The sample story with everything real: server, workers, three agents, models, signatures."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
STORY_LIMIT_S = 900


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What ``make demo`` prints, told in a folder with a space in its name."""
    data = tmp_path_factory.mktemp("story") / "a folder"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("LINEWARDEN_")}
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    story = subprocess.run(
        [sys.executable, "-m", "server", "demo", "--data", str(data)],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        timeout=STORY_LIMIT_S,
        check=False,
    )
    assert story.returncode == 0, story.stderr[-6000:] + story.stdout[-3000:]
    last_object = story.stdout[story.stdout.index("{") :]
    parsed: dict[str, Any] = json.loads(last_object)
    return parsed


def test_the_good_release_reaches_every_device(outcome: dict[str, Any]) -> None:
    assert outcome["ok"]
    assert outcome["rollouts"][0]["state"] == "succeeded"
    assert len(outcome["devices"]) == 3
    for device in outcome["devices"]:
        assert device["running_digest"] == device["expected_digest"] != ""


def test_each_profile_runs_bytes_of_its_own(outcome: dict[str, Any]) -> None:
    assert len({device["profile"] for device in outcome["devices"]}) == 3
    assert len({device["running_digest"] for device in outcome["devices"]}) == 3


def test_a_release_that_returns_nan_is_stopped_with_its_cause(outcome: dict[str, Any]) -> None:
    assert outcome["rollouts"][1]["state"] == "stopped"
    assert "not_finite" in outcome["rollouts"][1]["reason"]


def test_devices_tell_of_good_and_bad_boards(outcome: dict[str, Any]) -> None:
    for device in outcome["devices"]:
        verdicts = device["verdicts"]
        assert verdicts["pass"] > 0
        assert verdicts["fail"] > 0
        assert verdicts["pass"] + verdicts["fail"] == device["frames"]
        assert 0 < device["latency_ms"]["p50"] <= device["latency_ms"]["p95"]
