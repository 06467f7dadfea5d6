"""The source for an address: one line a scheme."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from inference_core.contract.addresses import redact
from inference_core.contract.serve import Camera
from inference_core.errors import BadInput
from inference_core.pipeline.sources.base import BrokenSource, Source
from inference_core.pipeline.sources.capture import VIDEO_SUFFIXES
from inference_core.pipeline.sources.folder import FolderSource, parse_file_address
from inference_core.pipeline.sources.live import LiveSource
from inference_core.pipeline.sources.trigger import TriggerSource
from inference_core.pipeline.sources.video import VideoSource


def open_source(camera: Camera) -> Source:
    """The source for the camera's address.

    An address is the device's configuration: a wrong one must not fail the release, so it
    becomes a source without input.
    """
    try:
        scheme = urlsplit(camera.address).scheme
        if scheme in _SOURCES:
            return _SOURCES[scheme](camera)
    except ValueError:
        return BrokenSource(camera, f"{redact(camera.address)}: brackets in it do not match")
    except BadInput as error:
        return BrokenSource(camera, str(error))
    known = ", ".join(f"{name}://" for name in _SOURCES)
    return BrokenSource(camera, f"{redact(camera.address)!r} is not supported; use {known}")


def _open_file(camera: Camera) -> Source:
    path = parse_file_address(camera.address)
    return VideoSource(camera) if path.suffix.lower() in VIDEO_SUFFIXES else FolderSource(camera)


_SOURCES: dict[str, Callable[[Camera], Source]] = {
    "file": _open_file,
    "rtsp": LiveSource,
    "rtsps": LiveSource,
    "http": LiveSource,
    "https": LiveSource,
    "v4l2": LiveSource,
    "trigger": TriggerSource,
}
