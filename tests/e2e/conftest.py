"""The sample story, told once for all tests here."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
STORY_LIMIT_S = 900


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """Of a person's shell: nothing that the tests set for themselves."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("LINEWARDEN_")}
    kept.pop("DJANGO_SETTINGS_MODULE", None)
    return kept


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the story is told: a folder with a space in its name."""
    return tmp_path_factory.mktemp("story") / "a folder"


@pytest.fixture(scope="session")
def outcome(data: Path, environment: dict[str, str]) -> dict[str, Any]:
    """What ``make demo`` prints."""
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
    parsed: dict[str, Any] = json.loads(story.stdout[story.stdout.index("{") :])
    return parsed
