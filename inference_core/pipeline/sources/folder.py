"""A folder as a camera: read in order, it waits for the line and loses nothing."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import unquote, urlsplit

from inference_core.contract.addresses import redact
from inference_core.contract.serve import Camera, FrameLost
from inference_core.errors import BadInput
from inference_core.picture import PICTURE_SUFFIXES, read_picture
from inference_core.pipeline.frames import Frame
from inference_core.pipeline.sources.base import Backoff, lose


class FolderSource:
    """The pictures of ``file:///folder`` in sorted order, over and over, ``frames_per_s``."""

    is_live = False

    def __init__(self, camera: Camera) -> None:
        self.camera = camera
        self.due_s = time.monotonic()
        self._folder = parse_file_address(camera.address)
        self._pending: list[Path] = []
        self._sequence = 0
        self._backoff = Backoff()

    def take(self) -> Frame | FrameLost:
        """The next picture of the folder; the folder is listed anew at each round."""
        if not self._pending:
            self._pending = list_pictures(self._folder)[::-1]
        if not self._pending:
            return self._wait_for_input()
        self._backoff.reset()
        self.due_s = max(self.due_s + 1 / self.camera.frames_per_s, time.monotonic())
        try:
            frame = read_frame(self._pending.pop(), self.camera, self._sequence)
        except BadInput as error:
            return lose(self.camera, "corrupt_image", str(error))
        self._sequence += 1
        return frame

    def close(self) -> None:
        """There is nothing to let go of."""

    def _wait_for_input(self) -> FrameLost:
        self.due_s = time.monotonic() + self._backoff.next_s()
        state = "holds no picture" if self._folder.is_dir() else "is not there"
        return lose(self.camera, "no_input", f"the folder {self._folder} {state}")


def parse_file_address(address: str) -> Path:
    """The path of ``file:///path``. Raises ``BadInput`` for another host or no path."""
    parts = urlsplit(address)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost") or len(parts.path) < 2:
        raise BadInput(
            f"{redact(address)!r} is no path of this machine; write file:///var/pictures"
        )
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
