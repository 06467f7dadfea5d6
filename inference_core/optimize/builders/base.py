"""The seam between the build and the file formats of the runtimes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from inference_core.contract.build import TensorRtProfile
from inference_core.contract.manifest import ModelManifest
from inference_core.contract.words import Precision
from inference_core.optimize.feed import Feed


def keep_silent(detail: str) -> None:
    """Tells nobody."""


@dataclass(frozen=True)
class Source:
    """What all candidates of one build are made from."""

    folded: Path
    manifest: ModelManifest
    calibration: Feed
    architecture: str
    model: Path | None = None
    """The graph as it came, its batch perhaps still open."""
    source_sha256: str = ""
    manifest_sha256: str = ""
    calibration_sha256: str = ""
    """These three name what the engine's key is of; empty, they are taken from the files."""
    tensorrt: TensorRtProfile | None = None
    accelerator: str | None = None
    """A chip that the artifact is compiled for, as the profile names it."""
    tell: Callable[[str], None] = keep_silent
    """Takes one line on how a conversion of minutes goes."""


class Builder(Protocol):
    """Writes an artifact for one runtime."""

    packages: tuple[str, ...]
    """Distributions whose versions shape the artifact; the certificate names them."""
    suffix: str

    def build(self, source: Source, precision: Precision, artifact: Path) -> None:
        """Write the artifact to a path whose folder is private and may hold other files.

        Raises ``ConversionFailed`` where this precision cannot be made.
        """
