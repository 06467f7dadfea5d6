"""The seam between the core and the libraries that execute models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from inference_core.contract.build import TensorFacts
from inference_core.contract.manifest import ModelManifest, TensorSpec
from inference_core.contract.words import ComputeDevice, RuntimeName
from inference_core.errors import InferenceFailed, LoadFailed

Array = NDArray[Any]


@dataclass(frozen=True)
class SessionOptions:
    """What a device grants to one model."""

    threads: int = 1
    in_flight: int = 1
    """Inferences that may run at the same time, where the library can."""
    compute_device: ComputeDevice = ComputeDevice.CPU
    """Where OpenVINO computes; the others have no choice."""


DEFAULT_OPTIONS = SessionOptions()


class Session(Protocol):
    """A loaded model. Not thread-safe; the arrays that ``run`` returns belong to the caller."""

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The tensors to feed, as the manifest names them."""

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """The tensors that come back."""

    @property
    def metadata(self) -> Mapping[str, str]:
        """Metadata in the artifact; empty where its format has none."""

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Every output of the manifest by its name.

        Raises ``InferenceFailed`` where the library gives up.
        """

    def close(self) -> None:
        """Gives the memory back. The session cannot be used again."""


Ticket = object
"""Stands for an inference under way; its session alone knows what is inside."""


@runtime_checkable
class AsyncSession(Session, Protocol):
    """A session that computes several inputs at once. ``submit`` and ``wait`` from one thread."""

    @property
    def max_in_flight(self) -> int:
        """How many tickets may be open; one more ``submit`` is a fault of the caller."""

    def submit(self, inputs: Mapping[str, Array]) -> Ticket:
        """Starts an inference. The arrays must not be written to before its ``wait``."""

    def wait(self, ticket: Ticket, timeout_s: float | None = None) -> dict[str, Array]:
        """The outputs, as ``run`` gives them. Raises ``InferenceFailed``, also for a time-out."""


class Runtime(Protocol):
    """A library that executes models."""

    name: RuntimeName

    def version(self) -> str:
        """The library's own version."""

    def load(
        self, path: Path, manifest: ModelManifest, options: SessionOptions = DEFAULT_OPTIONS
    ) -> Session:
        """Loads an artifact for the shapes of ``manifest``.

        Raises ``LoadFailed`` for an artifact that does not load or that the manifest does not
        describe.
        """


def check_tensors(
    kind: str, declared: Sequence[TensorSpec], found: Mapping[str, TensorFacts]
) -> None:
    """Raises ``LoadFailed`` unless the graph has every declared tensor with type and shape."""
    for spec in declared:
        facts = found.get(spec.name)
        if facts is None:
            raise LoadFailed(
                f"the manifest names the {kind} {spec.name!r}, "
                f"but the graph has {sorted(found) or 'none'}"
            )
        if facts.dtype != spec.dtype:
            raise LoadFailed(
                f"{kind} {spec.name!r} is {facts.dtype} in the graph, "
                f"but {spec.dtype} in the manifest"
            )
        if not _shapes_agree(spec.shape, facts.shape):
            raise LoadFailed(
                f"{kind} {spec.name!r} has the shape {_show(facts.shape)} in the graph, "
                f"but {_show(spec.shape)} in the manifest"
            )


def check_outputs(outputs: Mapping[str, Array], declared: Sequence[TensorSpec]) -> None:
    """Raises ``InferenceFailed`` where an output is not as the manifest says.

    Graphs with open dimensions show their true shape only when they run.
    """
    for spec in declared:
        array = outputs[spec.name]
        if not _shapes_agree(spec.shape, array.shape) or array.dtype != np.dtype(spec.dtype):
            raise InferenceFailed(
                f"output {spec.name!r} came as {array.dtype} {_show(array.shape)}, "
                f"but the manifest says {spec.dtype} {_show(spec.shape)}"
            )


def run_on_zeros(session: Session) -> dict[str, Array]:
    """One run on an empty picture: pays for lazy allocation, and proves the outputs' shapes."""
    zeros = {spec.name: np.zeros(spec.fixed_shape, spec.dtype) for spec in session.inputs}
    outputs = session.run(zeros)
    check_outputs(outputs, session.outputs)
    return outputs


def _shapes_agree(declared: Sequence[int | None], found: Sequence[int | None]) -> bool:
    if declared == found:
        return True
    return len(declared) == len(found) and all(
        None in (ours, theirs) or ours == theirs
        for ours, theirs in zip(declared, found, strict=True)
    )


def _show(shape: Sequence[int | None]) -> str:
    return "×".join("?" if side is None else str(side) for side in shape) or "of a scalar"
