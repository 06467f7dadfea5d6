"""Health of any Linux box. What is unknown is None, never zero."""

from __future__ import annotations

import os
import time
from pathlib import Path

from inference_core.contract.telemetry import Health


def memory_bytes() -> int | None:
    """Physical memory of the box, or None where the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return None


def read_health(data_dir: Path, child_rss_bytes: int | None) -> Health:
    """How the box is right now; the processor's share is since the call before."""
    import psutil  # 3 MB that only the first reading pays

    return Health(
        cpu_share=psutil.cpu_percent(None) / 100,
        memory_used_share=psutil.virtual_memory().percent / 100,
        disk_free_bytes=psutil.disk_usage(str(data_dir)).free,
        temperature_c=_temperature_c(),
        agent_rss_bytes=psutil.Process().memory_info().rss,
        child_rss_bytes=child_rss_bytes,
        uptime_s=time.time() - psutil.boot_time(),
    )


def _temperature_c() -> float | None:
    """The hottest sensor of the processor or the board."""
    import psutil

    if not hasattr(psutil, "sensors_temperatures"):
        return None
    readings = [
        sensor.current for sensors in psutil.sensors_temperatures().values() for sensor in sensors
    ]
    return max(readings, default=None)
