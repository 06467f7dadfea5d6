"""Results in files of this machine: JSON lines, and pictures with what was found."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, ClassVar

from inference_core.contract.results import FrameResult
from inference_core.errors import BadInput
from inference_core.files import write_atomically
from inference_core.picture import Picture
from inference_core.pipeline.frames import Frame
from inference_core.pipeline.sinks.address import Address
from inference_core.pipeline.sinks.base import Link, Parcel, Traits, Unreachable
from inference_core.pipeline.sinks.drawing import draw_result, encode_jpeg
from inference_core.pipeline.sinks.folders import find_output, open_to_append

_UNSAFE = re.compile(r"[^\w.-]+")
_MEGABYTE = 1024 * 1024


class JsonLinesSink:
    """One ``FrameResult`` a line, UTF-8, on a stream that stays the caller's."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def write(self, frame: Frame, result: FrameResult) -> None:
        """Writes the line and flushes it, so that a reader sees it at once."""
        del frame
        self._stream.write(result.to_json() + b"\n")
        self._stream.flush()

    def close(self, timeout_s: float = 5.0) -> None:
        """Nothing waits."""
        del timeout_s


class OverlaySink:
    """JPEGs ``000012-board.jpg`` in a folder: sequence number and name of the source."""

    def __init__(self, folder: Path, *, shows_verdict: bool = True) -> None:
        self._shows_verdict = shows_verdict
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadInput(f"the folder {folder} cannot be made: {error.strerror}") from error
        self._folder = folder

    def write(self, frame: Frame, result: FrameResult) -> None:
        """Draws, encodes and writes one picture."""
        self.write_picture(frame.picture, result)

    def write_picture(self, picture: Picture, result: FrameResult, prefix: str = "") -> Path:
        """As ``write``; gives the file's path."""
        stem = _UNSAFE.sub("_", Path(result.source).stem)[:80]
        path = self._folder / f"{prefix}{result.sequence:06d}-{stem}.jpg"
        drawn = draw_result(picture, result, shows_verdict=self._shows_verdict)
        write_atomically(path, encode_jpeg(drawn))
        return path

    def close(self, timeout_s: float = 5.0) -> None:
        """Nothing waits."""
        del timeout_s


def open_link(address: Address) -> Link:
    """``jsonl:///file?max_mb=64`` or ``overlay:///folder?keep=1000``."""
    if address.host not in ("", "localhost"):
        raise BadInput(f"{address.shown} is no place on this machine: write three slashes")
    with address.naming_itself():
        find_output(address.path)  # told now what would fail at every result
    if address.scheme == "jsonl":
        address.expect("max_mb")
        max_bytes = address.whole("max_mb", 64, 1, 100_000) * _MEGABYTE
        return _JsonLinesFile(address.path, max_bytes)
    address.expect("keep")
    return _OverlayFolder(address.path, address.whole("keep", 1000, 1, 100_000))


@dataclass
class _JsonLinesFile:
    """Appends; a full file becomes ``NAME.1``, and the one before that goes."""

    place: str
    max_bytes: int
    traits: ClassVar[Traits] = Traits()

    def deliver(self, parcel: Parcel) -> None:
        line = parcel.result.to_json() + b"\n"
        try:
            path = find_output(self.place)
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists() and path.stat().st_size + len(line) > self.max_bytes:
                path.replace(path.with_name(f"{path.name}.1"))
            with open_to_append(path) as file:
                file.write(line)
        except (OSError, ValueError) as error:
            raise Unreachable(str(error)) from error

    def beat(self) -> None:
        """A file needs no sign of life."""

    def close(self) -> None:
        """Every line is closed already."""


@dataclass
class _OverlayFolder:
    """Keeps the newest pictures that it wrote, also across restarts."""

    place: str
    keep: int
    traits: ClassVar[Traits] = Traits(capacity=8, wants_picture=True)
    _written: deque[Path] | None = field(default=None, init=False)

    def deliver(self, parcel: Parcel) -> None:
        if parcel.picture is None:
            return
        try:
            # The time keeps names apart across restarts of the child.
            prefix = f"{parcel.result.camera}-{parcel.result.captured_at:%Y%m%dT%H%M%S}-"
            folder = find_output(self.place)
            sink = OverlaySink(folder)
            written = self._find_written(folder)
            written.append(sink.write_picture(parcel.picture, parcel.result, prefix))
            while len(written) > self.keep:
                written.popleft().unlink(missing_ok=True)
        except (OSError, ValueError, BadInput) as error:
            raise Unreachable(str(error)) from error

    def _find_written(self, folder: Path) -> deque[Path]:
        if self._written is None:
            pictures = list(folder.glob("*-[0-9][0-9][0-9][0-9][0-9][0-9]*-*.jpg"))
            self._written = deque(sorted(pictures, key=lambda path: path.stat().st_mtime))
        return self._written

    def beat(self) -> None:
        """A folder needs no sign of life."""

    def close(self) -> None:
        """Every picture is closed already."""
