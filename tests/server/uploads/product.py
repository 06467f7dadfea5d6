"""The web server as `make run` starts it, in processes of its own."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from server.demo.stack import WEB
from tests.servers import _wait_for_port, free_port

REPOSITORY = Path(__file__).resolve().parents[3]
LIMIT_S = 60.0
PREPARE = """
import django; django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
from server.accounts.models import Role, User
from server.accounts.services import assign_role, create_api_token
from tests.server import catalogue
user = User.objects.create_user("ci")
assign_role(user=user, role=Role.RELEASER, actor="test")
catalogue.vision_model()
print(create_api_token(user=user, name="ci", actor="test"))
"""


class Product:
    """The web server as it is run, on a data folder of its own."""

    def __init__(self, data: Path) -> None:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("LINEWARDEN_")}
        self.environment = {
            **kept,
            "LINEWARDEN_DATA": str(data),
            "DJANGO_SETTINGS_MODULE": "server.config.settings",
        }
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.token = self.script(PREPARE)

    def script(self, text: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", text],
            cwd=REPOSITORY,
            env=self.environment,
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip().splitlines()[-1]

    @contextmanager
    def running(self) -> Iterator[None]:
        """Until the context ends; then all of it is killed, without a word."""
        process = subprocess.Popen(
            [sys.executable, "-m", "granian", *WEB, "--port", str(self.port)],
            cwd=REPOSITORY,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            _wait_for_port(self.port, process)
            yield
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            self._wait_until_dead()

    def _wait_until_dead(self) -> None:
        """The kernel takes the worker down after its parent: until then it holds the port."""
        deadline = time.monotonic() + LIMIT_S
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == errno.ECONNREFUSED:
                    return
        raise AssertionError("the killed server still holds its port")
