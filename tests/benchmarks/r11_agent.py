"""R11 and R12: what the agent itself costs beside its inference child while nothing changes."""

from __future__ import annotations

import json
import ssl
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, get_args

import certifi
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

Ca = Literal["none", "private", "public"]
"""Who vouches for the server: nobody (plain HTTP), one authority, or one of some 140."""


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
def _idle_agent(ca: Ca = "none", *, is_fresh: bool = True) -> Iterator[psutil.Process]:
    """An agent with the settings that it has in a factory, at its goal.

    ``is_fresh``: since before its start; else it has brought a second release since.
    """
    with tempfile.TemporaryDirectory() as name:
        folder, repository = Path(name), SignedRepository()
        first, second = (
            repository.add_release(f"r{counter}", profile=PROFILE, counter=counter)
            for counter in (1, 2)
        )
        context, ca_file = _make_tls(folder, ca)
        with Simulator(repository, PROFILE, context) as server:
            device = _FactoryDevice(folder, server, ca_file)
            server.assign(first, config=device.factory_config())
            settled = device.once()
            if settled.returncode != 0:
                raise RuntimeError(f"the agent did not reach its goal:\n{settled.stderr}")
            server.poll_s = POLL_S if is_fresh else 1.0
            process = device.start(**_factory_settings())
            try:
                device.wait(lambda: server.reports[-1].running_sha256, "running")
                if not is_fresh:
                    server.assign(second, config=device.factory_config())
                    device.wait(lambda: device.running == second.sha256, "running the second")
                yield psutil.Process(process.pid)
            finally:
                device.stop()


def _make_tls(folder: Path, ca: Ca) -> tuple[ssl.SSLContext | None, Path | None]:
    """TLS of the server, and the file of authorities that the agent is given."""
    if ca == "none":
        return None, None
    from tests.agent.certified import make_server_tls

    context, ca_file = make_server_tls(folder)
    if ca == "public":
        with ca_file.open("a") as file:
            file.write(Path(certifi.where()).read_text())
    return context, ca_file


class _FactoryDevice(Device):
    """Its settings are YAML, as most people write them: that costs the agent 1 MB."""

    def __init__(self, folder: Path, server: Simulator, ca_file: Path | None) -> None:
        super().__init__(folder, server)
        self._ca_file = ca_file

    def factory_config(self) -> DeviceConfig:
        """One slow camera; samples as rarely as the default has it."""
        camera = Camera(name="top", address=self.pictures.as_uri(), frames_per_s=FRAMES_PER_S)
        return DeviceConfig(cameras=(camera,))

    def settings(self, **changes: Any) -> Path:
        values = json.loads(super().settings(**changes).read_text())
        if self._ca_file:
            values["ca_file"] = str(self._ca_file)
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


def main() -> None:
    """What R11 and R12 do not say: by what an agent speaks, before and after a deployment."""
    for ca in get_args(Ca):
        for is_fresh in (True, False):
            with _idle_agent(ca, is_fresh=is_fresh) as agent:
                time.sleep(SETTLE_S)
                rss, share = _read(agent)
            age = "since its start" if is_fresh else "after a deployment"
            print(f"{rss / 1e6:5.1f} MB  {share:.2%}  CA: {ca:<8} {age}", flush=True)


if __name__ == "__main__":
    main()
