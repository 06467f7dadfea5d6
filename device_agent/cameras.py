"""Whether each camera gives pictures, told by its newest frames; an edge is an event."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from inference_core.contract.device import DeviceConfig
from inference_core.contract.serve import FrameDone, FrameLost
from inference_core.contract.telemetry import CameraState, Event

LOST_AFTER_S = 2.0
"""One torn frame is no event; a camera that gave nothing good for this long is lost."""

_QUIET_S = 60.0
"""A camera that waits for a trigger may be quiet: then it is unknown, not ok."""


_WELL = ("ok", "too_late", "unknown")


@dataclass
class _Camera:
    state: CameraState = "unknown"
    at: float = 0.0
    detail: str = ""
    bad_since: float | None = None
    is_lost: bool = False


class Cameras:
    """``take`` is for the children's threads and touches no disk; the keeper asks the rest."""

    def __init__(
        self, device: Callable[[], DeviceConfig], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._device, self._clock = device, clock
        self._lock = threading.Lock()
        self._cameras: dict[str, _Camera] = {}

    def take(self, event: FrameDone | FrameLost) -> None:
        """Hear of one frame. A frame that came too late was overtaken: its camera works."""
        now = self._clock()
        name = event.result.camera if isinstance(event, FrameDone) else event.camera
        with self._lock:
            camera = self._cameras.setdefault(name, _Camera())
            camera.at, camera.state, camera.detail = now, self._judge(event), ""
            if isinstance(event, FrameLost):
                camera.detail = event.detail
            if camera.state in _WELL:
                camera.bad_since = None
            elif camera.bad_since is None:
                camera.bad_since = now

    def states(self) -> dict[str, CameraState]:
        """How the configured cameras are; one that is not configured any more is forgotten."""
        now, names = self._clock(), [camera.name for camera in self._device().cameras]
        with self._lock:
            self._cameras = {name: self._cameras.get(name, _Camera()) for name in names}
            return {
                name: "unknown" if now - camera.at > _QUIET_S else camera.state
                for name, camera in self._cameras.items()
            }

    def edges(self) -> list[Event]:
        """``camera-lost`` and ``camera-back`` since the call before."""
        now = self._clock()
        with self._lock:
            turns = [_turn(name, camera, now) for name, camera in self._cameras.items()]
        return [event for event in turns if event]

    def _judge(self, event: FrameDone | FrameLost) -> CameraState:
        """A line at rest sends no trigger: that says nothing of its camera."""
        if isinstance(event, FrameDone):
            return "ok"
        waits = any(
            camera.name == event.camera and camera.address.startswith("trigger:")
            for camera in self._device().cameras
        )
        return "unknown" if waits and event.cause == "no_input" else event.cause


def _turn(name: str, camera: _Camera, now: float) -> Event | None:
    is_lost = camera.bad_since is not None and now - camera.bad_since >= LOST_AFTER_S
    if is_lost == camera.is_lost:
        return None
    camera.is_lost = is_lost
    if is_lost:
        detail = f"{name}: {camera.state}: {camera.detail}"
        return Event(name="camera-lost", detail=detail[:2000])
    return Event(name="camera-back", detail=name)
