"""A box with an agent on it: real processes, real files."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from inference_core.contract.device import DeviceConfig, ProbationLimits
from inference_core.contract.serve import Camera
from tests.agent.gateway_simulator import ENROLMENT_TOKEN, Simulator

PROFILE = "x86-fake"
REPOSITORY = Path(__file__).resolve().parents[2]
_LIMIT_S = 40.0


class Device:
    """Its data lie in ``state``; its camera shows one grey picture."""

    def __init__(self, folder: Path, server: Simulator) -> None:
        self.state = folder / "state"
        self.pictures = folder / "pictures"
        self.pictures.mkdir()
        (self.pictures / "part.png").write_bytes(grey_png(16))
        self._folder, self._server = folder, server
        self._process: subprocess.Popen[bytes] | None = None
        server.goal = server.goal.model_copy(
            update={"config": self.config(), "probation": ProbationLimits(min_frames=5)}
        )

    def config(self, **changes: Any) -> DeviceConfig:
        camera = Camera(name="top", address=self.pictures.as_uri(), frames_per_s=50)
        return DeviceConfig(cameras=(camera,), sample_every_s=0.5, **changes)

    def settings(self, **changes: Any) -> Path:
        values = {
            "server_url": self._server.url,
            "data_dir": str(self.state),
            "serial": "box-1",
            "enrolment_token": ENROLMENT_TOKEN,
            "heartbeat_s": 0.2,
            "silence_limit_s": 5,
            "min_poll_s": 0.05,
            "retry_base_s": 0.1,
            "retry_cap_s": 0.3,
            "summary_every_s": 0.3,
            "health_every_s": 0.5,
            "disk_reserve_bytes": 0,
        }
        path = self._folder / "agent.json"
        path.write_text(json.dumps(values | changes))
        return path

    def once(self, **changes: Any) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "device_agent", "--config", str(self.settings(**changes))]
        return subprocess.run(
            [*command, "once", "--timeout", "30"],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def start(self, crash_at: str | None = None, **changes: Any) -> subprocess.Popen[bytes]:
        """Start the agent; ``crash_at`` names a moment at which it kills itself."""
        settings = str(self.settings(**changes))
        if crash_at:
            command = [sys.executable, "-m", "tests.agent.crashing_agent", settings, crash_at]
        else:
            command = [sys.executable, "-m", "device_agent", "--config", settings, "run"]
        with (self._folder / "agent.err").open("ab") as log:
            self._process = subprocess.Popen(command, cwd=REPOSITORY, stderr=log)
        return self._process

    def stop(self) -> int | None:
        """Ask the agent to stop, as systemd would."""
        process, self._process = self._process, None
        if process is None:
            return None
        if process.poll() is None:
            process.terminate()
        try:
            return process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            raise AssertionError(f"the agent did not stop:\n{self.log}") from None

    def kill(self) -> None:
        """A power cut, as far as a process can feel one."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(10)
        self._process = None

    def wait(self, condition: Callable[[], object], what: str) -> None:
        """Poll until ``condition`` holds."""
        ends_at = time.monotonic() + _LIMIT_S
        while not condition():
            if time.monotonic() > ends_at:
                raise AssertionError(f"in {_LIMIT_S} s: not {what}\n{self.log}")
            time.sleep(0.02)

    def linked(self, name: str) -> str | None:
        link = self.state / name
        return link.readlink().name if link.is_symlink() else None

    @property
    def current(self) -> str | None:
        return self.linked("current")

    @property
    def running(self) -> str | None:
        """What the agent said last that it runs."""
        reports = self._server.reports
        return reports[-1].running_sha256 if reports else None

    @property
    def log(self) -> str:
        path = self._folder / "agent.err"
        return path.read_text() if path.exists() else ""

    def children(self) -> list[int]:
        """Inference processes of this device that are alive."""
        mark, alive = f"LINEWARDEN_CHILD_OF={self.state}/run".encode(), []
        for path in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                if mark in path.read_bytes().split(b"\0"):
                    alive.append(int(path.parent.name))
        return alive

    def kill_children(self) -> None:
        for pid in self.children():
            os.kill(pid, signal.SIGKILL)


def grey_png(side: int) -> bytes:
    """A square picture, without a library."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)

    rows = (b"\0" + b"\x80" * (3 * side)) * side
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body
