"""The server as it is installed, in processes of its own: each can be killed and come back."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import requests

from server.demo.stack import WEB
from tests.faults.build_seed import PROFILE
from tests.servers import _find, _owner_of_cluster, _wait_for_port, free_port

REPOSITORY = Path(__file__).resolve().parents[2]
LIMIT_S = 120.0
LEASE_S, TIMEOUT_S, VISIBILITY_S = 8, 120, 6


def wait(is_done: Callable[[], Any], what: str) -> Any:
    """What ``is_done`` gives once it is true, within a limit for machines that have much to do."""
    ends_at = time.monotonic() + LIMIT_S
    while not (found := is_done()):
        assert time.monotonic() < ends_at, f"in {LIMIT_S:g} s: not {what}"
        time.sleep(0.1)
    return found


class Postgres:
    """A cluster that keeps its promises: with fsync, unlike that of other tests."""

    def __init__(self, folder: Path) -> None:
        self._programs, self._folder, self._port = _find("postgres"), folder, free_port()
        self._owner = _owner_of_cluster()
        if self._owner:
            os.chown(folder, self._owner["user"], self._owner["group"])
        self.url = f"postgresql://linewarden@127.0.0.1:{self._port}/postgres"
        command = [f"{self._programs}/initdb", "-D", str(folder), "-U", "linewarden", "-A", "trust"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder, **self._owner)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        options = [f"-cport={self._port}", "-clisten_addresses=127.0.0.1"]
        options.append(f"-cunix_socket_directories={self._folder}")
        self._process = subprocess.Popen(
            [f"{self._programs}/postgres", "-D", str(self._folder), *options],
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **self._owner,
        )
        _wait_for_port(self._port, self._process)
        wait(self._answers, "an answer of PostgreSQL")

    def crash(self) -> None:
        """All of its processes end at once; what was committed is in its log."""
        assert self._process is not None
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(LIMIT_S)

    def _answers(self) -> bool:
        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(self.url).close()
            return True
        return False


class Redis:
    """A broker and cache that forgets everything when it is killed."""

    def __init__(self, folder: Path) -> None:
        self._port, self._folder = free_port(), folder
        self.url = f"redis://127.0.0.1:{self._port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [str(_find("redis")), "--port", str(self._port), "--bind", "127.0.0.1"]
        command += ["--dir", str(self._folder), "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _wait_for_port(self._port, self._process)

    def crash(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(LIMIT_S)


class Plant:
    """PostgreSQL, Redis, web server, the worker with the schedule, and builders."""

    def __init__(self, folder: Path) -> None:
        self._logs = folder
        # Not below pytest's own folders: those are closed to the user that PostgreSQL runs as.
        self._cluster = Path(tempfile.mkdtemp(prefix="linewarden-postgres-"))
        self.postgres, self.redis = Postgres(self._cluster), Redis(folder)
        self.postgres.start()
        self.redis.start()
        self.url = f"http://127.0.0.1:{free_port()}"
        settings = {
            "DATA": folder / "data",
            "DATABASE_URL": self.postgres.url,
            "REDIS_URL": self.redis.url,
            "PUBLIC_URL": self.url,
            "TICK_S": 0.5,
            "BUILD_LEASE_S": LEASE_S,
            "BUILD_TIMEOUT_S": TIMEOUT_S,
            "BUILD_MESSAGE_S": 300,
            "TASK_VISIBILITY_S": VISIBILITY_S,
        }
        kept = {k: v for k, v in os.environ.items() if not k.startswith("LINEWARDEN_")}
        named = {f"LINEWARDEN_{name}": str(value) for name, value in settings.items()}
        django = {"DJANGO_SETTINGS_MODULE": "server.config.settings"}
        self.environment = kept | django | named
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        seed = json.loads(self.python("-m", "tests.faults.build_seed").splitlines()[-1])
        self._model, self._token, self._version = seed["model"], seed["token"], 0

    def start(self) -> None:
        self.run("web", "-m", "granian", *WEB, "--port", self.url.rpartition(":")[2])
        self.start_schedule("schedule")
        self.start_builder("builder")
        wait(self._answers, "an answer of the web server")

    def start_schedule(self, name: str) -> None:
        worker = ["celery", "-A", "server.config.celery", "worker", "-B", "-P", "threads"]
        worker += [
            "-l",
            "INFO",
            "-c",
            "2",
            "-Q",
            "default",
            "-n",
            f"{name}@%h",
            "-s",
            str(self._logs / name),
        ]
        self.run(name, "-m", *worker, "--without-gossip", "--without-mingle")

    def start_builder(self, name: str, **settings: str) -> None:
        self.run(name, "-m", "server", "build-worker", "--profile", PROFILE, **settings)

    def run(self, name: str, *arguments: str, **settings: str) -> None:
        """Start a process in a group of its own."""
        with self.log_of(name).open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=REPOSITORY,
                env=self.environment | settings,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self, name: str) -> None:
        """As when its host loses power: the whole group at once."""
        process = self._processes.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(LIMIT_S)

    def dead(self) -> dict[str, int]:
        """Processes that ended by themselves, with their status."""
        ended = {name: process.poll() for name, process in self._processes.items()}
        return {name: status for name, status in ended.items() if status is not None}

    def stop(self) -> None:
        for name in list(self._processes):
            self.kill(name)
        self.redis.crash()
        self.postgres.crash()
        shutil.rmtree(self._cluster)

    def python(self, *arguments: str, status: int = 0) -> str:
        """What a Python with the server's settings says."""
        command = [sys.executable, *arguments]
        done = subprocess.run(
            command, cwd=REPOSITORY, env=self.environment, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == status, done.stderr[-3000:]
        return done.stdout

    def log_of(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def call(self, verb: str, path: str, body: dict[str, Any] | None = None) -> requests.Response:
        return requests.request(
            verb,
            f"{self.url}/api/v1/{path}",
            json=body,
            headers={"Authorization": f"Bearer {self._token}"},
            timeout=30,
        )

    def page(self, path: str) -> requests.Response:
        """As a browser asks that has a session."""
        cookies = {"sessionid": "of-somebody-who-was-signed-in-once"}
        return requests.get(f"{self.url}/{path}", cookies=cookies, timeout=30)

    def next_build(self) -> int:
        """Ask for a build of a version that was never built; its number."""
        if not any("build" in name for name in self._processes):
            self.start_builder("builder")
        answer = self.call("POST", "builds", self.next_request())
        assert answer.status_code == 201, answer.text
        return int(answer.json()["id"])

    def next_request(self) -> dict[str, Any]:
        version, self._version = str(self._version), self._version + 1
        return {"model": self._model, "version": version, "profile": PROFILE}

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.postgres.url) as connection:
            return connection.execute(sql, values).fetchall()

    def build(self, build_id: int) -> tuple[str, int, str]:
        """State, attempts and reason."""
        [row] = self.rows("SELECT state, attempts, reason FROM builds_build WHERE id=%s", build_id)
        return row

    def wait_for_child(self, build_id: int) -> int:
        """The process that builds, once it has told its key."""
        sql = "SELECT 1 FROM builds_build WHERE id=%s AND state='leased' AND key<>''"
        wait(lambda: self.rows(sql, build_id), f"build {build_id} at work")
        return wait(self.find_child, "a child that builds")

    def find_child(self) -> int | None:
        groups = {process.pid for process in self._processes.values()}
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                words = (folder / "cmdline").read_bytes().split(b"\0")
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                if b"--job" in words and parent in groups:
                    return int(folder.name)
        return None

    def wait_for_end(self, build_id: int) -> tuple[str, int, str]:
        open_states = ("queued", "leased")
        wait(lambda: self.build(build_id)[0] not in open_states, f"the end of build {build_id}")
        return self.build(build_id)

    def is_served(self) -> bool:
        """Whether a builder of the profile is heard of, as the API tells."""
        rows = self.call("GET", "builders").json()["results"]
        return any(row["profile"] == PROFILE and row["is_live"] for row in rows)

    def artifacts_of(self, build_id: int) -> int:
        return len(self.rows("SELECT 1 FROM builds_artifact WHERE build_id=%s", build_id))

    def _answers(self) -> bool:
        with contextlib.suppress(requests.RequestException):
            return self.call("GET", "builders").ok
        return False
