"""Measurements of kernels that one build leaves to the next: minutes become seconds."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path
from typing import Any

from inference_core.errors import BadInput, NotNow
from inference_core.optimize.publish import write_whole

logger = logging.getLogger(__name__)

_MAX_CACHE_BYTES = 512 * 1024 * 1024


class TimingCache:
    """A timing cache in a file. It only ever saves time: what is wrong with it is logged."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def attach(self, config: Any) -> bool:
        """Gives ``config`` what earlier builds measured; True where there was something."""
        data = self._read()
        if data and config.set_timing_cache(config.create_timing_cache(data), False):
            return True
        config.set_timing_cache(config.create_timing_cache(b""), False)
        return False

    def keep(self, config: Any) -> None:
        """Write all that ``config`` knows now; another builder's file is replaced whole."""
        cache = config.get_timing_cache()
        if cache is None:
            return
        try:
            write_whole(self._path, bytes(cache.serialize()))
        except (BadInput, NotNow) as error:
            logger.warning("the timing cache is not kept: %s", error)

    def _read(self) -> bytes:
        try:
            if self._path.stat().st_size > _MAX_CACHE_BYTES:
                return b""
            return self._path.read_bytes()
        except OSError:
            return b""  # the first build on this machine


def cache_path(version: str, device_name: str) -> Path:
    """Where the measurements of one TensorRT on one kind of GPU lie, by the XDG rules."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    device = re.sub(r"[^a-z0-9]+", "-", device_name.lower()).strip("-")
    return Path(home) / "linewarden" / "tensorrt" / f"{version}-{device}.timing"
