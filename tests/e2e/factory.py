"""A factory for tests: the server as it is installed, a broker beside it, and boxes with agents."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import requests

from device_agent.status import Status, read_status
from server.demo.client import Client
from server.demo.processes import Ensemble
from server.demo.stack import WEB
from tests.servers import _find, free_port

REPOSITORY = Path(__file__).resolve().parents[2]
_MODULE = (sys.executable, "-m")
LIMIT_S = 90.0


def wait(is_done: Callable[[], object], what: str) -> None:
    """Poll until ``is_done``, within a limit that is for machines with much else to do."""
    ends_at = time.monotonic() + LIMIT_S
    while not is_done():
        assert time.monotonic() < ends_at, f"in {LIMIT_S:g} s: not {what}"
        time.sleep(0.1)


class Factory:
    """Web server, worker, Mosquitto and its keeper, on ``data``; ``client`` is an admin's."""

    def __init__(self, data: Path, environment: Mapping[str, str]) -> None:
        self.data, self.url = data, f"http://127.0.0.1:{free_port()}"
        self.environment = dict(environment) | {
            "DJANGO_SETTINGS_MODULE": "server.config.settings",
            "LINEWARDEN_DATA": str(data),
            "LINEWARDEN_PUBLIC_URL": self.url,
            "LINEWARDEN_POLL_S": "1",
            "LINEWARDEN_TICK_S": "0.5",
            "LINEWARDEN_BROKER_HOST": "127.0.0.1",
            "LINEWARDEN_BROKER_PORT": str(free_port()),
        }
        self._ensemble = Ensemble(data / "factory-logs", self.environment)
        self.python("-m", "server", "prepare")
        self._token = self.manage("create_api_token", "admin", "factory", "--days", "1").strip()
        self.client = Client(self.url, self._token)

    def start(self) -> None:
        """Return when the server answers; the broker may come a moment later."""
        self.manage("make_broker_folder")
        mosquitto = str(_find("mosquitto"))
        port = self.url.rpartition(":")[2]
        worker = ["-A", "server.config.celery", "worker", "--without-gossip", "--without-mingle"]
        commands = {
            "mosquitto": [mosquitto, "-c", str(self.data / "mosquitto" / "mosquitto.conf")],
            "web": [*_MODULE, "granian", *WEB, "--port", port],
            "worker": [
                *_MODULE,
                "celery",
                *worker,
                "-P",
                "threads",
                "-B",
                "-c",
                "2",
                "-Q",
                "default,build.x86-onnxruntime",
            ],
            "keeper": [*_MODULE, "server", "broker"],
        }
        for name, command in commands.items():
            self._ensemble.start(name, command)
        wait(self._answers, "an answer of the web server")

    def stop(self) -> None:
        """End all that was started."""
        self._ensemble.stop()

    def manage(self, *arguments: str) -> str:
        """What ``manage.py`` says."""
        return self.python("server/manage.py", *arguments)

    def python(self, *arguments: str) -> str:
        """What a Python with the server's settings says; it must end well."""
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=REPOSITORY,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    def download(self, path: str) -> bytes:
        """A file of the API."""
        answer = requests.get(
            f"{self.url}/api/v1/{path}",
            headers={"Authorization": f"Bearer {self._token}"},
            timeout=30,
        )
        answer.raise_for_status()
        return answer.content

    def _answers(self) -> bool:
        assert not self._ensemble.dead(), self._ensemble.dead()
        try:
            return requests.get(f"{self.url}/sign-in/", timeout=5).ok
        except requests.RequestException:
            return False


class Box:
    """A machine with an agent on it, and somebody who starts it again whenever it ends."""

    def __init__(self, folder: Path, factory: Factory, serial: str, group: str) -> None:
        self.folder, self.state, self._factory = folder, folder / "state", factory
        self.serial, self.group = serial, group
        self.secrets = folder / "secrets"
        self.secrets.mkdir(parents=True)
        self.python, self.code = sys.executable, REPOSITORY
        self._process: subprocess.Popen[bytes] | None = None
        self._settings: dict[str, Any] = {}

    def start(self, **settings: Any) -> None:
        """Start the agent; it enrols itself with a token of its own where it must."""
        if not self._settings:
            self._settings = self._first_settings()
        self._write(self._settings | settings)
        command = [self.python, "-m", "device_agent", "--config", self._path, "run"]
        with (self.folder / "agent.err").open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=self.code, env=self._environment, stderr=log
            )

    def stop(self) -> None:
        """Ask the agent to stop, as systemd would."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            process.wait(LIMIT_S)

    def forget_settings(self) -> None:
        """The next start has another enrolment token."""
        self._settings = {}

    def change(self, changes: Mapping[str, Any]) -> None:
        """``PATCH devices/{id}``."""
        self._factory.client.patch(f"devices/{self.id}", dict(changes))

    def wait(self, is_done: Callable[[], object], what: str) -> None:
        """Wait, and start the agent again when it has ended meanwhile."""

        def look() -> object:
            if self._process is not None and self._process.poll() is not None:
                self.start()
            return is_done()

        try:
            wait(look, what)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log[-3000:]}") from None

    @property
    def id(self) -> str:
        """Of the device at the server."""
        rows = self._factory.client.pages("devices", serial=self.serial)
        return str(next(row["id"] for row in rows if row["serial"] == self.serial))

    @property
    def state_at_server(self) -> str | None:
        """None until it is enrolled."""
        rows = self._factory.client.pages("devices", serial=self.serial)
        return rows[0]["state"] if rows else None

    @property
    def goal(self) -> dict[str, Any]:
        """What the agent has been told last."""
        with closing(sqlite3.connect(f"file:{self.state}/journal.sqlite?mode=ro", uri=True)) as db:
            kept = db.execute("SELECT value FROM fact WHERE name = 'goal'").fetchone()
        goal: dict[str, Any] = json.loads(kept[0])
        return goal

    @property
    def event_names(self) -> list[str]:
        """Of what it told the server."""
        events = self._factory.client.get(f"devices/{self.id}/events")["results"]
        return [event["name"] for event in events]

    @property
    def token(self) -> str:
        """The enrolment token that its settings hold."""
        return str(self._settings["enrolment_token"])

    @property
    def row(self) -> dict[str, Any]:
        """The device as the API has it."""
        row: dict[str, Any] = self._factory.client.get(f"devices/{self.id}")
        return row

    @property
    def status(self) -> Status:
        """What the agent said last of itself."""
        found = read_status(self.state)
        assert found is not None, self.log[-3000:]
        return found

    @property
    def screen(self) -> str:
        """``linewarden-agent status``."""
        command = [self.python, "-m", "device_agent", "--config", self._path, "status"]
        return subprocess.run(
            command,
            cwd=self.code,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        ).stdout

    @property
    def log(self) -> str:
        """What the agent said on stderr."""
        return (self.folder / "agent.err").read_text()

    @property
    def _environment(self) -> dict[str, str]:
        return {
            name: value
            for name, value in self._factory.environment.items()
            if not name.startswith(("LINEWARDEN_", "DJANGO_"))
        }

    @property
    def _path(self) -> str:
        return str(self.folder / "agent.json")

    def _write(self, settings: Mapping[str, Any]) -> None:
        path = Path(self._path)
        path.touch(mode=0o600)
        path.write_text(json.dumps(settings))

    def _first_settings(self) -> dict[str, Any]:
        token = self._factory.client.post(
            "enrolment-tokens",
            {
                "site": "sample-works",
                "line": "incoming-inspection",
                "group": self.group,
                "preauthorised": True,
            },
        )
        return {
            "server_url": self._factory.url,
            "data_dir": str(self.state),
            "secrets_dir": str(self.secrets),
            "serial": self.serial,
            "profile": "x86-onnxruntime",
            "threads": 2,
            "enrolment_token": token["token"],
            "min_poll_s": 0.5,
            "retry_base_s": 0.2,
            "retry_cap_s": 2.0,
            "bell_spread_s": 0.0,
            "summary_every_s": 1.0,
            "health_every_s": 2.0,
            "agent_proof_s": 2.0,
        }
