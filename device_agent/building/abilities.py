"""Whether this box could build at all, and whether the release that judges parts can spare it."""

from __future__ import annotations

import importlib.util
import threading
from collections import deque

from device_agent.inference.child import Event
from inference_core.contract.serve import FrameDone, FrameLost
from inference_core.contract.words import RuntimeName

_ALWAYS = ("numpy", "cv2", "onnx", "onnxruntime")
"""The original model judges beside every candidate, on ONNX Runtime."""

_OWN: dict[RuntimeName, tuple[str, ...]] = {
    RuntimeName.ONNXRUNTIME: (),
    RuntimeName.OPENCV_DNN: (),
    RuntimeName.OPENVINO: ("openvino",),
    RuntimeName.LITERT: ("ai_edge_litert",),
    RuntimeName.TENSORRT: ("tensorrt|tensorrt_rtx",),
}

_FRAMES = 20
_MAX_LATE = 2


def what_is_missing(runtime: RuntimeName) -> str | None:
    """A sentence with the remedy where this box cannot build for a runtime, or None.

    Modules are looked for and not imported: no runtime belongs into the agent's process.
    """
    if runtime not in _OWN:
        return f"this agent builds nothing for {runtime}"
    absent = [one for one in (*_ALWAYS, *_OWN[runtime]) if not _is_here(one)]
    if not absent:
        return None
    names = ", ".join(one.replace("|", " or ") for one in absent)
    return f"needs: pip install 'linewarden[build]' (missing for {runtime}: {names})"


def _is_here(alternatives: str) -> bool:
    return any(importlib.util.find_spec(name) is not None for name in alternatives.split("|"))


class Pace:
    """Whether parts are judged in time: of the newest frames, how many were late."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._late: deque[bool] = deque(maxlen=_FRAMES)

    def take(self, event: Event) -> None:
        """Count a frame; on a child's own thread."""
        if isinstance(event, FrameDone):
            late = event.result.latency_ms > event.result.budget_ms
        elif isinstance(event, FrameLost) and event.cause == "too_late":
            late = True
        else:
            return
        with self._lock:
            self._late.append(late)

    @property
    def problem(self) -> str | None:
        """Why this is no time to build, or None. Few frames say nothing against it."""
        with self._lock:
            late = sum(self._late)
        if late <= _MAX_LATE:
            return None
        return f"parts are judged too late: {late} of the last {_FRAMES} frames"
