"""Which module decodes which kind of output."""

from __future__ import annotations

import math
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from numpy.typing import NDArray

from inference_core.contract.manifest import ModelManifest
from inference_core.errors import DecodeFailed, NotFinite
from inference_core.image import Transform
from inference_core.results import Found

_KINDS = (
    "anomaly",
    "classify",
    "ctc",
    "detr",
    "end_to_end",
    "grid",
    "listed",
    "segment",
    "ssd",
    "text_boxes",
    "yolo",
)
_MODULES = {kind: f"inference_core.decode.{kind}" for kind in _KINDS}
"""A module has ``decode(outputs, manifest, transform)``; what it reads is known to be finite."""


def decode(
    outputs: Mapping[str, NDArray[Any]], manifest: ModelManifest, transform: Transform
) -> Found:
    """What the outputs of one inference mean, in frame pixels.

    Raises ``NotFinite`` and ``DecodeFailed``.
    """
    for name in manifest.decoder.reads:
        if name not in outputs:
            raise DecodeFailed(f"the decoder reads {name!r}, but got {sorted(outputs)}")
        require_finite(name, outputs[name])
    found: Found = import_module(_MODULES[manifest.decoder.kind]).decode(
        outputs, manifest, transform
    )
    return found


def require_finite(name: str, output: NDArray[Any]) -> None:
    """Raises ``NotFinite`` for an output with NaN or infinity in it."""
    # NaN wins every maximum and infinity is one: far cheaper than a mask of all values.
    if output.size and not (math.isfinite(output.max()) and math.isfinite(output.min())):
        raise NotFinite(f"output {name!r} holds NaN or infinity")
