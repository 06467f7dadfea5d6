"""Video files: every frame in order, with its place in the video as its time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import cv2
import numpy as np

from inference_core.contract.serve import Camera, FrameLost
from inference_core.errors import BadInput
from inference_core.picture import MAX_PIXELS
from inference_core.pipeline.frames import Frame
from inference_core.pipeline.sources.base import Backoff, lose
from inference_core.pipeline.sources.capture import open_video
from inference_core.pipeline.sources.folder import parse_file_address

_LEAST_SHARE = 0.95
"""Of the frames that the header announces; some containers only estimate them."""
_FALLBACK_FPS = 25.0


class VideoSource:
    """The frames of ``file:///video.avi``, over and over, at most ``frames_per_s``.

    Time runs as in the video, and begins anew with each round.
    """

    is_live = False

    def __init__(self, camera: Camera) -> None:
        self.camera = camera
        self.due_s = time.monotonic()
        self._path = parse_file_address(camera.address)
        self._frames: Iterator[Frame | FrameLost] = iter(())
        self._sequence = 0
        self._backoff = Backoff()

    def take(self) -> Frame | FrameLost:
        """The next frame. A video that is not there, or gives none, is asked ever less often."""
        taken = next(self._frames, None)
        if taken is None:
            self._frames = read_video(self._path, self.camera, self._sequence)
            taken = next(self._frames, None) or lose(
                self.camera, "no_input", f"{self._path.name} holds no frame"
            )
        if isinstance(taken, FrameLost):
            self._frames = iter(())
            self.due_s = time.monotonic() + self._backoff.next_s()
            return taken
        self._backoff.reset()
        self.due_s = max(self.due_s + 1 / self.camera.frames_per_s, time.monotonic())
        self._sequence = taken.sequence + 1
        return taken

    def close(self) -> None:
        """Closes the file."""
        self._frames = iter(())


def read_video(path: Path, camera: Camera, sequence: int = 0) -> Iterator[Frame | FrameLost]:
    """All frames of a video. One that is cut short ends with a ``FrameLost`` that says so."""
    try:
        video = open_video(path)
        _refuse_giants(video, path)
    except BadInput as error:
        yield lose(camera, "corrupt_image" if path.is_file() else "no_input", str(error))
        return
    try:
        clock, count = _VideoClock(video), 0
        while (frame := _read_next(video, clock, path, camera, sequence + count)) is not None:
            count += 1
            yield frame
        announced = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
        if count < announced * _LEAST_SHARE:
            told = f"{path.name} is cut short: {count} of {announced} frames can be read"
            yield lose(camera, "corrupt_image", told)
    finally:
        video.release()


def _refuse_giants(video: cv2.VideoCapture, path: Path) -> None:
    width, height = video.get(cv2.CAP_PROP_FRAME_WIDTH), video.get(cv2.CAP_PROP_FRAME_HEIGHT)
    if width * height > MAX_PIXELS:
        raise BadInput(f"{path.name}: {width:.0f}×{height:.0f} pixels are more than {MAX_PIXELS}")


def _read_next(
    video: cv2.VideoCapture, clock: _VideoClock, path: Path, camera: Camera, sequence: int
) -> Frame | None:
    begun = time.perf_counter()
    whole, picture = video.read()
    if not whole or picture is None:
        return None
    return Frame(
        camera=camera.name,
        sequence=sequence,
        source=path.name,
        captured_at=datetime.now(timezone.utc),
        read_from_s=begun,
        picture=np.asarray(picture, dtype=np.uint8),
        mm_per_px=camera.mm_per_px,
        captured_s=clock.read_s(),
    )


class _VideoClock:
    """Seconds of the frame just read; counted from the frame rate where time stamps stand still."""

    def __init__(self, video: cv2.VideoCapture) -> None:
        self._video = video
        fps = video.get(cv2.CAP_PROP_FPS)
        self._interval_s = 1 / fps if 0 < fps <= 1000 else 1 / _FALLBACK_FPS
        self._last_s = -self._interval_s

    def read_s(self) -> float:
        """Grows with every frame."""
        stamped_s = self._video.get(cv2.CAP_PROP_POS_MSEC) / 1000
        self._last_s = stamped_s if stamped_s > self._last_s else self._last_s + self._interval_s
        return max(self._last_s, 0.0)
