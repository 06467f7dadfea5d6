"""Settings: loud when wrong, one sentence, exit status 2."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from device_agent.config import load_config
from device_agent.errors import ConfigError
from device_agent.identity import Identity
from tests.agent.device import REPOSITORY

URL = "https://fleet.example.com"


def write(folder: Path, text: str) -> Path:
    path = folder / "agent.yaml"
    path.write_text(text)
    return path


def test_yaml_and_json_are_both_read(tmp_path: Path) -> None:
    yaml = load_config(write(tmp_path, f"server_url: {URL}/\nthreads: 2"), {})
    json = load_config(write(tmp_path, f'{{"server_url": "{URL}", "threads": 2}}'), {})
    assert yaml == json
    assert yaml.device_url == f"{URL}/device/v1"


def test_the_environment_outweighs_the_file_and_the_command_line_both(tmp_path: Path) -> None:
    path = write(tmp_path, f"server_url: {URL}\nserial: from-file")
    environment = {"LINEWARDEN_AGENT_SERIAL": "from-environment", "LINEWARDEN_DATA": "not ours"}
    assert load_config(path, environment).serial == "from-environment"
    assert load_config(path, environment, serial="from-arguments").serial == "from-arguments"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("server_url: https://a\nthread: 2", "unknown setting 'thread'"),
        ("threads: 2", "setting 'server_url' is missing"),
        ("server_url: fleet.example.com", "is no http"),
        ("server_url: https://user:secret@a", "address only"),
        ("server_url: https://a\nthreads: 0", "setting 'threads'"),
        ("server_url: https://a\nserial: ../x", "setting 'serial'"),
        ("server_url: https://a\noutput_dir: /", "output_dir.* data_dir must lie apart"),
        ("server_url: https://a\noutput_dir: /var/lib/linewarden/run", "must lie apart"),
        ("server_url: https://a\noutput_dir: /etc/linewarden/secrets", "and secrets_dir must"),
        ("server_url: https://a\nsecrets_dir: /var/lib/linewarden", "setting 'secrets_dir'"),
        ("- a list", "must hold settings by name"),
        ("a: [", "neither YAML nor JSON"),
        ('{"server_url": "https://a"', "neither YAML nor JSON"),
        ('{"server_url": "https://a"} more', "neither YAML nor JSON"),
        ("[1]", "must hold settings by name"),
    ],
)
def test_a_wrong_setting_is_named_in_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence) as error:
        load_config(write(tmp_path, text), {})
    assert "\n" not in str(error.value)


def test_a_mistyped_variable_is_named_too(tmp_path: Path) -> None:
    path = write(tmp_path, f"server_url: {URL}")
    with pytest.raises(ConfigError, match="unknown setting 'seriall'"):
        load_config(path, {"LINEWARDEN_AGENT_SERIALL": "x"})


def test_the_command_ends_with_2_and_no_traceback(tmp_path: Path) -> None:
    path = write(tmp_path, "server_url: nowhere")
    result = subprocess.run(
        [sys.executable, "-m", "device_agent", "--config", str(path), "run"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2
    assert result.stderr.startswith("linewarden-agent: setting 'server_url'")
    assert result.stderr.count("\n") == 1


def test_a_token_is_not_shown_with_the_settings(tmp_path: Path) -> None:
    config = load_config(None, {}, server_url=URL, enrolment_token="a-secret-that-is-long")
    assert "a-secret-that-is-long" not in repr(config)


def test_the_key_is_made_once_and_readable_by_the_owner_only(tmp_path: Path) -> None:
    first = Identity(tmp_path / "identity").public_key
    assert Identity(tmp_path / "identity").public_key == first
    assert (tmp_path / "identity" / "key.pem").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "identity").stat().st_mode & 0o777 == 0o700


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    Identity(tmp_path / "identity")
    (tmp_path / "identity" / "key.pem").chmod(0o644)
    with pytest.raises(ConfigError, match="others can read"):
        Identity(tmp_path / "identity")
