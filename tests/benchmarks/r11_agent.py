"""R11 and R12: what the agent itself costs beside its inference child while nothing changes."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import yaml

from inference_core.contract.device import DeviceConfig
from inference_core.contract.serve import Camera
from tests.agent.device import PROFILE, Device
from tests.agent.gateway_simulator import Simulator
from tests.agent.signed_repository import SignedRepository
from tests.benchmarks.measure import Figure

ALLOWED_RSS_BYTES = 60_000_000
ALLOWED_CORE_SHARE = 0.01
POLL_S, FRAMES_PER_S = 30.0, 2.0
SETTLE_S, WINDOW_S, WINDOWS = 15.0, 20.0, 3


def measure_r11() -> Figure:
    """Resident memory of the agent ÷ what is allowed, started with a release on the disk."""
    ratios = [reading[0] / ALLOWED_RSS_BYTES for reading in _readings()]
    return Figure("R11", 1.0, "at most", ratios, "agent's memory ÷ 60 MB, idle, one camera at 2/s")


def measure_r12() -> Figure:
    """Processor time of the agent ÷ what is allowed."""
    ratios = [reading[1] / ALLOWED_CORE_SHARE for reading in _readings()]
    return Figure("R12", 1.0, "at most", ratios, "agent's processor ÷ 1 % of a core, idle")


_kept: list[tuple[int, float]] = []


def _readings() -> list[tuple[int, float]]:
    """Bytes and share of a core in each window; one start of the agent serves both figures."""
    if not _kept:
        with _idle_agent() as agent:
            time.sleep(SETTLE_S)
            _kept.extend(_read(agent) for _ in range(WINDOWS))
    return _kept


def _read(agent: psutil.Process) -> tuple[int, float]:
    before = agent.cpu_times()
    time.sleep(WINDOW_S)
    after = agent.cpu_times()
    used_s = after.user + after.system - before.user - before.system
    return agent.memory_info().rss, used_s / WINDOW_S


@contextmanager
def _idle_agent() -> Iterator[psutil.Process]:
    """An agent with the settings that it has in a factory, at its goal since before its start."""
    with tempfile.TemporaryDirectory() as name:
        repository = SignedRepository()
        release = repository.add_release("r1", profile=PROFILE, counter=1)
        with Simulator(repository, PROFILE) as server:
            device = _FactoryDevice(Path(name), server)
            camera = Camera(name="top", address=device.pictures.as_uri(), frames_per_s=FRAMES_PER_S)
            config = DeviceConfig(cameras=(camera,))  # samples as rarely as the default has it
            server.assign(release, config=config)
            settled = device.once()
            if settled.returncode != 0:
                raise RuntimeError(f"the agent did not reach its goal:\n{settled.stderr}")
            server.poll_s = POLL_S
            process = device.start(**_factory_settings())
            try:
                device.wait(lambda: server.reports[-1].running_sha256, "running")
                yield psutil.Process(process.pid)
            finally:
                device.stop()


class _FactoryDevice(Device):
    """Its settings are YAML, as most people write them: that costs the agent 1 MB."""

    def settings(self, **changes: Any) -> Path:
        values = json.loads(super().settings(**changes).read_text())
        path = self.state.with_name("agent.yaml")
        path.write_text(yaml.safe_dump(values))
        return path


def _factory_settings() -> dict[str, float]:
    """The defaults, in place of the hurry that tests are in."""
    from device_agent.config import Config

    hurried = (
        "heartbeat_s", "silence_limit_s", "min_poll_s", "retry_base_s", "retry_cap_s",
        "summary_every_s", "health_every_s", "disk_reserve_bytes",
    )  # fmt: skip
    return {name: Config.model_fields[name].default for name in hurried}


if __name__ == "__main__":
    print(os.linesep.join(f"{rss / 1e6:.1f} MB  {share:.2%}" for rss, share in _readings()))
