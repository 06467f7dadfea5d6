"""A runtime that misbehaves on demand, so that faults can be tried on a real child process.

Its artifact is JSON, a ``FakeBehaviour``. It is never chosen unless a release names it.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field, ValidationError

from inference_core.contract.base import Document
from inference_core.contract.manifest import ModelManifest, TensorSpec
from inference_core.contract.words import RuntimeName
from inference_core.errors import InferenceFailed, LoadFailed
from inference_core.runtimes.base import DEFAULT_OPTIONS, Array, SessionOptions


class FakeBehaviour(Document):
    """What the fake does. Runs count from 0; run 0 is the warm-up of a serving child."""

    outputs: dict[str, Any] = Field(
        default_factory=dict,
        description="By name: nested numbers, broadcast to the manifest's shape; absent is zeros.",
    )
    metadata: dict[str, str] = Field(default_factory=dict)
    load_s: float = Field(default=0.0, ge=0, description="Time that the load takes.")
    fail_at_load: str | None = None
    kill_at_load: bool = False
    fill_memory_at_load: bool = Field(default=False, description="Ask for more than there is.")
    run_s: float = Field(default=0.0, ge=0, description="Time that each run takes.")
    nan_from_run: int | None = None
    fail_from_run: int | None = None
    hang_at_run: int | None = None
    kill_at_run: int | None = None
    leak_bytes_per_run: int = Field(default=0, ge=0)


class FakeSession:
    """Answers what its behaviour says."""

    def __init__(self, behaviour: FakeBehaviour, manifest: ModelManifest) -> None:
        self.inputs: tuple[TensorSpec, ...] = manifest.inputs
        self.outputs: tuple[TensorSpec, ...] = manifest.outputs
        self.metadata = behaviour.metadata
        self._behaviour = behaviour
        self._answers = {spec.name: _answer(behaviour, spec) for spec in manifest.outputs}
        self._runs = 0
        self._leaked: list[bytes] = []

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Every output of the manifest by its name, unless this run is to go wrong."""
        if set(inputs) != {spec.name for spec in self.inputs}:
            raise InferenceFailed(f"the fake was fed {sorted(inputs)}")
        run, self._runs = self._runs, self._runs + 1
        self._misbehave(run)
        answers = {name: answer.copy() for name, answer in self._answers.items()}
        if _has_come(self._behaviour.nan_from_run, run):
            for answer in answers.values():
                answer.fill(np.nan)
        return answers

    def close(self) -> None:
        """Gives back what was leaked."""
        self._leaked.clear()

    def _misbehave(self, run: int) -> None:
        behaviour = self._behaviour
        time.sleep(behaviour.run_s)
        if behaviour.leak_bytes_per_run:
            self._leaked.append(bytes(os.urandom(1)) * behaviour.leak_bytes_per_run)
        if behaviour.kill_at_run == run:
            _kill_myself()
        while behaviour.hang_at_run == run:
            time.sleep(3600)
        if _has_come(behaviour.fail_from_run, run):
            raise InferenceFailed(f"the fake fails from run {behaviour.fail_from_run}")


class FakeRuntime:
    """Loads a ``FakeBehaviour``."""

    name = RuntimeName.FAKE

    def version(self) -> str:
        """Always the same."""
        return "1"

    def load(
        self, path: Path, manifest: ModelManifest, options: SessionOptions = DEFAULT_OPTIONS
    ) -> FakeSession:
        """Loads the JSON, or goes wrong as it says. ``options`` change nothing."""
        del options
        try:
            behaviour = FakeBehaviour.model_validate_json(path.read_bytes())
        except (ValidationError, OSError) as error:
            raise LoadFailed(f"{path.name} is no FakeBehaviour: {error}") from error
        time.sleep(behaviour.load_s)
        if behaviour.kill_at_load:
            _kill_myself()
        if behaviour.fill_memory_at_load:
            bytearray(1 << 62)
        if behaviour.fail_at_load is not None:
            raise LoadFailed(behaviour.fail_at_load)
        return FakeSession(behaviour, manifest)


def _answer(behaviour: FakeBehaviour, spec: TensorSpec) -> Array:
    values = behaviour.outputs.get(spec.name, 0)
    try:
        return np.broadcast_to(np.asarray(values, dtype=spec.dtype), spec.fixed_shape).copy()
    except ValueError as error:
        raise LoadFailed(f"the answer for {spec.name!r} does not fit: {error}") from error


def _has_come(first_run: int | None, run: int) -> bool:
    return first_run is not None and run >= first_run


def _kill_myself() -> None:
    """As the kernel does when memory runs out: no clean-up, no last word."""
    os.kill(os.getpid(), signal.SIGKILL)


RUNTIME = FakeRuntime()
