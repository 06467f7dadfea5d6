"""Frames that another child judges too: laid losslessly into a folder, read back with suspicion."""

from __future__ import annotations

import logging
import random
import time
from pathlib import Path

import numpy as np

from inference_core.contract.serve import JudgeFrame
from inference_core.errors import BadInput
from inference_core.picture import MAX_PIXELS, Picture
from inference_core.pipeline.frames import Frame

MAX_WAITING = 4
"""Whoever judges too slowly must cost neither disk nor memory: further frames are not shared."""

_MAX_FILE_BYTES = MAX_PIXELS * 3 + 4096
_log = logging.getLogger(__name__)


class FrameShare:
    """Lays a random share of the frames into ``folder``."""

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadInput(f"the share folder cannot be made: {error}") from error
        self._folder = folder

    def offer(self, frame: Frame, share: float) -> Path | None:
        """Where the frame lies now if it was drawn; it appears whole.

        A full disk or folder costs the sharing, never the verdict. Not synced: a shared frame
        lives for a moment, and mostly never reaches the disk.
        """
        if random.random() >= share:  # noqa: S311 - spreads the cost, no secret
            return None
        try:
            return self._write(frame)
        except OSError as error:
            _log.warning("frame %d of %s is not shared: %s", frame.sequence, frame.camera, error)
            return None

    def _write(self, frame: Frame) -> Path | None:
        if sum(1 for _ in self._folder.glob("*.npy")) >= MAX_WAITING:
            return None
        # The time keeps names apart across restarts of the child.
        path = self._folder / f"{frame.camera}-{time.time_ns()}-{frame.sequence:08d}.npy"
        partial = path.with_suffix(".partial")
        try:
            with partial.open("wb") as file:
                np.save(file, frame.picture, allow_pickle=False)
            partial.replace(path)
        except OSError:
            partial.unlink(missing_ok=True)
            raise
        return path


def take_shared(wanted: JudgeFrame, folder: Path) -> Frame:
    """Read a shared frame and delete its file. Raises ``BadInput``.

    It belongs to a stream of its own: a camera's tracks and counts must not see frames that
    come out of turn. Its latency counts from when it has been read.
    """
    path = Path(wanted.path).resolve()
    if path.parent != folder.resolve():
        raise BadInput(f"{wanted.path} does not lie in the share folder")
    try:
        picture = _read(path)
    except (OSError, ValueError, OverflowError) as error:
        raise BadInput(f"{path.name} is no shared frame: {error}") from error
    finally:
        path.unlink(missing_ok=True)
    return Frame(
        camera=f"{wanted.camera} shared",
        sequence=wanted.sequence,
        source=wanted.source,
        captured_at=wanted.captured_at,
        read_from_s=time.perf_counter(),
        picture=picture,
        mm_per_px=wanted.mm_per_px,
        captured_s=wanted.captured_at.timestamp(),
    )


def _read(path: Path) -> Picture:
    """Mapped first: a header that promises more than the file holds allocates nothing."""
    size = path.stat().st_size
    if size > _MAX_FILE_BYTES:
        raise ValueError(f"it has {size} bytes, {_MAX_FILE_BYTES} are allowed")
    mapped = np.lib.format.open_memmap(path, mode="r")
    if mapped.dtype != np.uint8 or mapped.ndim != 3 or mapped.shape[2] != 3 or not mapped.size:
        raise ValueError(f"it is no picture: {mapped.dtype} of shape {mapped.shape}")
    return np.array(mapped, order="C")
