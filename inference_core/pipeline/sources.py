"""Where frames come from. A folder is read in order, waits for the line and loses nothing."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal, Protocol
from urllib.parse import unquote, urlsplit

from inference_core.contract.serve import Camera, FrameLost
from inference_core.errors import BadInput
from inference_core.picture import PICTURE_SUFFIXES, read_picture
from inference_core.pipeline.frames import Frame

_FIRST_WAIT_S = 1.0
_LONGEST_WAIT_S = 30.0


class Source(Protocol):
    """A camera, or what stands in for one."""

    camera: Camera
    due_s: float
    """``time.monotonic()`` from which the next frame may be taken."""

    def take(self) -> Frame | FrameLost:
        """The next frame, or why there is none. Never raises for what the camera does."""


class FolderSource:
    """The pictures of ``file:///folder`` in sorted order, over and over, ``frames_per_s``."""

    def __init__(self, camera: Camera) -> None:
        self.camera = camera
        self.due_s = time.monotonic()
        self._folder = parse_file_address(camera.address)
        self._pending: list[Path] = []
        self._sequence = 0
        self._waits_s = _FIRST_WAIT_S

    def take(self) -> Frame | FrameLost:
        """The next picture of the folder; the folder is listed anew at each round."""
        if not self._pending:
            self._pending = list_pictures(self._folder)[::-1]
        if not self._pending:
            return self._wait_for_input()
        self._waits_s = _FIRST_WAIT_S
        self.due_s = max(self.due_s + 1 / self.camera.frames_per_s, time.monotonic())
        try:
            frame = read_frame(self._pending.pop(), self.camera, self._sequence)
        except BadInput as error:
            return lose(self.camera, "corrupt_image", str(error))
        self._sequence += 1
        return frame

    def _wait_for_input(self) -> FrameLost:
        self.due_s = time.monotonic() + _jitter(self._waits_s)
        self._waits_s = min(self._waits_s * 2, _LONGEST_WAIT_S)
        state = "holds no picture" if self._folder.is_dir() else "is not there"
        return lose(self.camera, "no_input", f"the folder {self._folder} {state}")


class BrokenSource:
    """Stands in for a camera whose address cannot be used: no input, and never a crash."""

    def __init__(self, camera: Camera, reason: str) -> None:
        self.camera = camera
        self.due_s = time.monotonic()
        self._reason = reason

    def take(self) -> Frame | FrameLost:
        """Always the reason, seldom."""
        self.due_s = time.monotonic() + _jitter(_LONGEST_WAIT_S)
        return lose(self.camera, "no_input", self._reason)


def open_source(camera: Camera) -> Source:
    """The source for the camera's address.

    An address is the device's configuration: a wrong one must not fail the release, so it
    becomes a source without input.
    """
    scheme = urlsplit(camera.address).scheme
    if scheme not in _SOURCES:
        known = ", ".join(f"{name}://" for name in _SOURCES)
        return BrokenSource(camera, f"{camera.address!r} is not supported; use {known}")
    try:
        return _SOURCES[scheme](camera)
    except BadInput as error:
        return BrokenSource(camera, str(error))


def parse_file_address(address: str) -> Path:
    """The folder of ``file:///folder``. Raises ``BadInput`` for another host or no folder."""
    parts = urlsplit(address)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost") or len(parts.path) < 2:
        raise BadInput(f"{address!r} is no folder of this machine; write file:///var/pictures")
    return Path(unquote(parts.path))


def list_pictures(folder: Path) -> list[Path]:
    """The pictures in a folder by name; empty where there are none, or no folder."""
    try:
        return sorted(
            path
            for path in folder.iterdir()
            if path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith(".")
        )
    except OSError:
        return []  # absent, no folder, or unplugged just now: the caller says so


def read_frame(path: Path, camera: Camera, sequence: int) -> Frame:
    """The picture in a file as a frame. Raises ``BadInput`` where it cannot be read whole."""
    begun, captured_at = time.perf_counter(), datetime.now(timezone.utc)
    return Frame(
        camera=camera.name,
        sequence=sequence,
        source=path.name,
        captured_at=captured_at,
        read_from_s=begun,
        picture=read_picture(path),
        mm_per_px=camera.mm_per_px,
    )


def lose(camera: Camera, cause: Literal["no_input", "corrupt_image"], detail: str) -> FrameLost:
    """Says that a camera gave no frame now."""
    return FrameLost(
        camera=camera.name,
        cause=cause,
        detail=detail[:500],
        captured_at=datetime.now(timezone.utc),
    )


def _jitter(wait_s: float) -> float:
    """Keeps a fleet that lost the same server out of step."""
    return wait_s * random.uniform(0.8, 1.2)  # noqa: S311 not a secret


_SOURCES: dict[str, Callable[[Camera], Source]] = {"file": FolderSource}
