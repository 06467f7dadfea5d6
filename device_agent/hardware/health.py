"""How the box is: what every Linux tells, joined with what its board and accelerators tell."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from device_agent.hardware.board import Board, combine
from device_agent.hardware.coral import Coral
from device_agent.hardware.generic import Generic
from device_agent.hardware.jetson import Jetson
from device_agent.hardware.machine import Machine
from device_agent.hardware.platform import Platform, read_accelerators, read_platform
from device_agent.hardware.raspberry_pi import RaspberryPi
from device_agent.hardware.sysfs import read_text
from inference_core.contract.telemetry import CameraState, Health

BOARDS: dict[Platform, Callable[[Path], Board]] = {
    "jetson": Jetson,
    "raspberry_pi": RaspberryPi,
    "coral": Generic,  # a plain board; its Edge TPU is an accelerator like any other
    "generic": Generic,
}
ACCELERATORS: dict[str, Callable[[Path], Board]] = {"edgetpu-pcie": Coral}
"""Those that can be asked; of the others nothing is known."""


class HealthReader:
    """Made once, because some figures are about the time since the reading before."""

    def __init__(self, data_dir: Path, root: Path = Path("/")) -> None:
        self._data_dir, self._root = data_dir, root
        self._machine = Machine(root)
        kinds = set(read_accelerators(root)) & ACCELERATORS.keys()
        self._boards = [
            BOARDS[read_platform(root)](root),
            *(ACCELERATORS[kind](root) for kind in sorted(kinds)),
        ]

    def read(
        self,
        *,
        child_rss_bytes: int | None = None,
        cameras: Mapping[str, CameraState] | None = None,
        child_starts: int | None = None,
    ) -> Health:
        """Right now; the processor's share, power and throttling are since the call before."""
        board = combine(board.read() for board in self._boards)
        return Health(
            cpu_share=self._machine.cpu_share(),
            memory_used_share=self._machine.memory_used_share(),
            disk_free_bytes=shutil.disk_usage(self._data_dir).free,
            temperature_c=max(board.temperatures_c.values(), default=None),
            throttled=board.throttled,
            agent_rss_bytes=self._machine.own_rss_bytes(),
            child_rss_bytes=child_rss_bytes,
            uptime_s=self._uptime_s(),
            temperatures_c=board.temperatures_c,
            power_w=board.power_w,
            gpu_share=board.gpu_share,
            throttle_reasons=board.throttle_reasons,
            cameras=dict(cameras or {}),
            child_starts=child_starts,
        )

    def _uptime_s(self) -> float | None:
        """By the kernel's own count, which a clock that is set does not move."""
        words = (read_text(self._root / "proc/uptime") or "").split()
        try:
            return float(words[0]) if words else None
        except ValueError:
            return None
