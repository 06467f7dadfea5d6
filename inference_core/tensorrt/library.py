"""The one place that imports TensorRT, be it 10, 11 or RTX."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Literal

from inference_core.errors import RuntimeUnavailable

logger = logging.getLogger(__name__)

Flavour = Literal["tensorrt", "rtx"]

TITLES: dict[Flavour, str] = {"tensorrt": "TensorRT", "rtx": "TensorRT for RTX"}

_MODULES: dict[Flavour, tuple[str, str]] = {
    "tensorrt": ("tensorrt", "tensorrt_bindings"),
    "rtx": ("tensorrt_rtx", "tensorrt_rtx_bindings"),
}
"""The name of NVIDIA's front package, and of the wheel with the bindings behind it."""

_ADVICE: dict[Flavour, str] = {
    "tensorrt": "on a Jetson it comes with JetPack, elsewhere: pip install 'linewarden[tensorrt]'",
    "rtx": "install it with: pip install 'linewarden[tensorrt-rtx]'",
}
_OLDEST_MAJOR: dict[Flavour, int] = {"tensorrt": 10, "rtx": 1}
_MAX_ERRORS_KEPT = 20


@dataclass(frozen=True)
class Library:
    """A TensorRT that is installed here. ``api`` is its module."""

    flavour: Flavour
    version: str
    api: Any
    log: Any
    """Its ``ILogger``; ``log.errors`` holds the latest errors, oldest first."""

    @property
    def title(self) -> str:
        """For example "TensorRT for RTX 1.7.1.116"."""
        return f"{TITLES[self.flavour]} {self.version}"

    @property
    def builds_for_absent_gpus(self) -> bool:
        """Whether the target is said, and not found: then no GPU is needed to build."""
        return self.flavour == "rtx"

    def explain(self) -> str:
        """What the library itself said was wrong, on one line."""
        return "; ".join(dict.fromkeys(self.log.errors)) or "it gave no reason"


def find_library(flavour: Flavour | None = None) -> Library:
    """The library of a flavour; where None is given, the first that is installed. Needs no GPU.

    Raises ``RuntimeUnavailable``, which says what to install.
    """
    if flavour is not None:
        return _import_library(flavour)
    try:
        return _import_library("tensorrt")
    except RuntimeUnavailable as error:
        if not _find_module("rtx"):
            raise RuntimeUnavailable(f"{error}; or, for a PC: {_ADVICE['rtx']}") from error
    return _import_library("rtx")


@cache
def _import_library(flavour: Flavour) -> Library:
    name = _find_module(flavour)
    if name is None:
        raise RuntimeUnavailable(f"{TITLES[flavour]} is not installed; {_ADVICE[flavour]}")
    try:
        api = import_module(name)
    except (ImportError, OSError) as error:  # OSError: a library it is linked to is absent
        raise RuntimeUnavailable(
            f"{TITLES[flavour]} cannot be imported ({error}); {_ADVICE[flavour]}"
        ) from error
    version = str(api.__version__)
    if int(version.split(".", maxsplit=1)[0]) < _OLDEST_MAJOR[flavour]:
        raise RuntimeUnavailable(
            f"{TITLES[flavour]} {version} is too old; 10 or later is needed (JetPack 6 or later)"
        )
    return Library(flavour, version, api, _make_log(api))


def _find_module(flavour: Flavour) -> str | None:
    return next((name for name in _MODULES[flavour] if find_spec(name)), None)


def _make_log(api: Any) -> Any:
    """A process has one TensorRT log, the first it is given; so it lives as long as the module."""
    severity = api.ILogger.Severity
    levels = {
        severity.INTERNAL_ERROR: logging.ERROR,
        severity.ERROR: logging.ERROR,
        severity.WARNING: logging.WARNING,
        severity.INFO: logging.DEBUG,
        severity.VERBOSE: logging.DEBUG,
    }

    class Log(api.ILogger):  # type: ignore[misc]  # its base is only known at run time
        def __init__(self) -> None:
            api.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            """Called by TensorRT, from threads of its own too."""
            level = levels.get(severity, logging.DEBUG)
            text = " ".join(message.split())
            if level is logging.ERROR:
                self.errors[:] = [*self.errors[1 - _MAX_ERRORS_KEPT :], text]
                level = logging.WARNING  # whoever asked raises it; here it is a trace only
            logger.log(level, "%s", text)

    return Log()
