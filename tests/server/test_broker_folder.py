"""The folder that Mosquitto runs from: whole, private, made by a command, kept by a process."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from uuid import uuid4

import pytest
from cryptography import x509
from django.core.management import CommandError, call_command
from pytest_django import Settings

from server.broker.configuration import access_rules, pid_file
from server.broker.folder import reload_broker
from tests.push import PushBroker, wait
from tests.servers import free_port

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.mark.django_db
def test_the_command_writes_what_mosquitto_needs_and_its_owner_alone_can_read(
    tmp_path: Path,
) -> None:
    folder, said = tmp_path / "a folder", StringIO()
    call_command("make_broker_folder", str(folder), host=["push.example.com"], stdout=said)
    assert said.getvalue() == f"mosquitto -c {folder}/mosquitto.conf\n"
    assert {path.name for path in folder.iterdir()} == {
        *("mosquitto.conf", "acl", "ca.pem", "crl.pem", "broker.pem"),
    }
    modes = {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert (stat.S_IMODE(folder.stat().st_mode), modes) == (0o700, {0o600})
    made = x509.load_pem_x509_certificate((folder / "broker.pem").read_bytes())
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(names) == [x509.DNSName("push.example.com")]


@pytest.mark.django_db
def test_the_command_asks_for_a_host_where_nothing_names_one(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="--host"):
        call_command("make_broker_folder", str(tmp_path))


@pytest.mark.django_db
def test_the_command_takes_both_names_from_the_settings(tmp_path: Path, settings: Settings) -> None:
    names = {"broker_host": "push.example.com", "broker_inner_host": "mosquitto"}
    settings.ENV = settings.ENV.model_copy(update=names)
    call_command("make_broker_folder", str(tmp_path), stdout=StringIO())
    made = x509.load_pem_x509_certificate((tmp_path / "broker.pem").read_bytes())
    found = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert found.get_values_for_type(x509.DNSName) == ["mosquitto", "push.example.com"]


def test_every_denied_device_has_a_rule_of_its_own() -> None:
    first, second = str(uuid4()), str(uuid4())
    rules = access_rules([first, second])
    assert f"\nuser {first}\ntopic deny #\n" in rules
    assert f"\nuser {second}\ntopic deny #\n" in rules
    assert "deny" not in access_rules()


def test_a_broker_that_does_not_run_needs_no_telling(tmp_path: Path) -> None:
    reload_broker(tmp_path)


def test_a_process_that_is_no_broker_is_never_signalled(tmp_path: Path) -> None:
    other = subprocess.Popen(["sleep", "60"])
    try:
        pid_file(tmp_path).write_text(str(other.pid))
        with pytest.raises(ProcessLookupError, match="not mosquitto"):
            reload_broker(tmp_path)
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


@pytest.mark.parametrize("content", ["", "nonsense", "1 2"])
def test_a_pid_file_without_a_process_id_is_an_error(tmp_path: Path, content: str) -> None:
    pid_file(tmp_path).write_text(content)
    with pytest.raises(OSError, match="holds no process id"):
        reload_broker(tmp_path)


def test_an_admins_own_command_is_run_as_it_is_and_never_through_a_shell(tmp_path: Path) -> None:
    mark = tmp_path / "$(echo no shell)"
    reload_broker(tmp_path, ["touch", str(mark)])
    assert mark.exists()
    with pytest.raises(subprocess.CalledProcessError):
        reload_broker(tmp_path, ["false"])


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A server of its own, embedded, whose broker listens on a free port."""
    kept = {name: value for name, value in os.environ.items() if "LINEWARDEN" not in name}
    return {
        **kept,
        "DJANGO_SETTINGS_MODULE": "server.config.settings",
        "LINEWARDEN_DATA": str(tmp_path / "data"),
        "LINEWARDEN_BROKER_HOST": "127.0.0.1",
        "LINEWARDEN_BROKER_PORT": str(free_port()),
    }


@pytest.fixture
def keeper(environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """``python -m server broker``, as an operator runs it."""
    command = [sys.executable, "-m", "server"]
    prepare = [*command, "prepare"]
    subprocess.run(prepare, cwd=REPOSITORY, env=environment, check=True, capture_output=True)
    keeper = subprocess.Popen(
        [*command, "broker"], cwd=REPOSITORY, env=environment, stderr=subprocess.PIPE, text=True
    )
    yield keeper
    keeper.kill()
    keeper.wait()


@pytest.mark.mosquitto
def test_the_process_writes_the_folder_connects_and_ends_on_a_signal(
    environment: dict[str, str], keeper: subprocess.Popen[str]
) -> None:
    folder = Path(environment["LINEWARDEN_DATA"]) / "mosquitto"
    wait((folder / "mosquitto.conf").exists)
    broker = PushBroker(folder, port=int(environment["LINEWARDEN_BROKER_PORT"]))
    broker.start()
    try:
        wait(lambda: "linewarden-server" in broker.log)
    finally:
        broker.kill()
    keeper.send_signal(signal.SIGTERM)
    _, told = keeper.communicate(timeout=20)
    assert keeper.returncode == 0
    assert "Traceback" not in told


def test_the_process_says_what_to_set_where_there_is_no_broker(
    environment: dict[str, str],
) -> None:
    del environment["LINEWARDEN_BROKER_HOST"]
    ended = subprocess.run(
        [sys.executable, "-m", "server", "broker"],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert "set LINEWARDEN_BROKER_HOST" in ended.stderr
