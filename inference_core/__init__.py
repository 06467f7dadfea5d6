"""Industrial vision at the edge: runtimes, decoders, pipelines, optimisation, parity.

Runs alone on a laptop: no Django, no network. ``inference_core.contract`` holds what crosses
the wire and may be imported without numpy.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "Anomaly": "inference_core.results",
    "Boxes": "inference_core.results",
    "Classes": "inference_core.results",
    "Follower": "inference_core.tracking",
    "Frame": "inference_core.pipeline.frames",
    "LoadedModel": "inference_core.pipeline.models",
    "Overlapped": "inference_core.pipeline.overlapped",
    "Pipeline": "inference_core.pipeline.graph",
    "Regions": "inference_core.results",
    "SessionOptions": "inference_core.runtimes.base",
    "TextBoxes": "inference_core.results",
    "TextLines": "inference_core.results",
    "available": "inference_core.runtimes.lookup",
    "check_rules": "inference_core.pipeline.rules",
    "draw_result": "inference_core.pipeline.sinks",
    "get_runtime": "inference_core.runtimes.lookup",
    "iterate_frames": "inference_core.pipeline.sources",
    "load_model": "inference_core.pipeline.models",
    "prepare": "inference_core.image",
    "read_picture": "inference_core.picture",
    "recognise": "inference_core.recognise",
}
"""Public names. Each is imported when it is first used: the contract must stay light."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
