"""What TensorRT does in the minutes of a build, as lines for a person."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

_TELL_EVERY_S = 1.0


def make_monitor(api: Any, tell: Callable[[str], None]) -> Any:
    """An ``IProgressMonitor`` that tells of phases and steps, at most once a second."""

    class Monitor(api.IProgressMonitor):  # type: ignore[misc]  # its base is known at run time
        def __init__(self) -> None:
            api.IProgressMonitor.__init__(self)
            self._told_at = -_TELL_EVERY_S
            self._steps: dict[str, int] = {}

        def phase_start(self, phase_name: str, _parent: object, num_steps: int) -> None:
            """Called by TensorRT, by these names of its own."""
            self._steps[phase_name] = num_steps
            self._tell(phase_name)

        def step_complete(self, phase_name: str, step: int) -> bool:
            self._tell(f"{phase_name}, {step + 1} of {self._steps.get(phase_name, 0)}")
            return True  # False would cancel the build

        def phase_finish(self, phase_name: str) -> None:
            self._steps.pop(phase_name, None)

        def _tell(self, words: str) -> None:
            now = time.monotonic()
            if now - self._told_at >= _TELL_EVERY_S:
                self._told_at = now
                tell(words[:1].lower() + words[1:])

    return Monitor()
