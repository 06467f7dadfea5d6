"""Cameras that do not wait: a thread reads, the latest frame wins, and a lost one is sought."""

from __future__ import annotations

import logging
import threading
import time
from datetime import datetime, timezone

import cv2
import numpy as np

from inference_core.contract.addresses import redact
from inference_core.contract.serve import Camera, FrameLost
from inference_core.errors import BadInput
from inference_core.pipeline.frames import Frame
from inference_core.pipeline.sources.base import PATIENCE_S, Backoff, Ledger, lose
from inference_core.pipeline.sources.capture import (
    READ_TIMEOUT_MS,
    check_stream_address,
    open_stream,
)
from inference_core.pipeline.sources.latest import Latest

_log = logging.getLogger(__name__)
_FAREWELL_S = READ_TIMEOUT_MS / 1000 + 1.0


class LiveSource:
    """``rtsp://``, ``http://`` (MJPEG, or what FFmpeg reads) or ``v4l2:///dev/video0``.

    Pictures are decoded at most ``frames_per_s``; the others are read away, so that none is old.
    """

    is_live = True

    def __init__(self, camera: Camera, backoff: Backoff | None = None) -> None:
        check_stream_address(camera.address)
        self.camera = camera
        self._shown_as = redact(camera.address)
        self._backoff = backoff or Backoff()
        self._latest = Latest(camera)
        self._stopping = threading.Event()
        self._sequence = 0
        self._is_lost = False
        self._thread = threading.Thread(
            target=self._read_until_closed, name=f"camera {camera.name}", daemon=True
        )
        self._thread.start()

    @property
    def due_s(self) -> float:
        """When something became ready; a moment from now where nothing is."""
        return self._latest.due_s

    @property
    def ledger(self) -> Ledger:
        """The books of this moment."""
        return self._latest.read_ledger()

    def take(self) -> Frame | FrameLost:
        """The newest frame; first, one by one, those that came too late for anybody."""
        taken = self._latest.take(PATIENCE_S)
        if taken is None:
            return lose(self.camera, "no_input", f"{self._shown_as} shows nothing")
        return taken

    def close(self) -> None:
        """Ends the thread; one that hangs in a driver is left behind."""
        self._stopping.set()
        self._latest.close()
        self._thread.join(_FAREWELL_S)

    def _read_until_closed(self) -> None:
        while not self._stopping.is_set():
            try:
                stream = open_stream(self.camera.address)
            except BadInput as error:
                self._report(str(error))
            except cv2.error as error:
                self._report(f"the camera {self._shown_as} cannot be opened: {error.err}")
            else:
                self._read(stream)
            self._stopping.wait(self._backoff.next_s())

    def _read(self, stream: cv2.VideoCapture) -> None:
        """Until the stream ends, which a camera's should not."""
        pace = _Pace(self.camera.frames_per_s)
        try:
            while not self._stopping.is_set() and stream.grab():
                if pace.is_due(time.monotonic()):
                    self._retrieve(stream)
        except cv2.error as error:
            _log.warning("camera %s: %s", self.camera.name, error.err)
        finally:
            stream.release()
        if not self._stopping.is_set():
            self._report(f"the camera {self._shown_as} stopped")

    def _retrieve(self, stream: cv2.VideoCapture) -> None:
        begun, captured_s = time.perf_counter(), time.monotonic()
        whole, picture = stream.retrieve()
        if not whole or picture is None or not picture.size:
            self._latest.put(lose(self.camera, "corrupt_image", "a frame cannot be decoded"))
            return
        frame = Frame(
            camera=self.camera.name,
            sequence=self._sequence,
            source=self._shown_as,
            captured_at=datetime.now(timezone.utc),
            read_from_s=begun,
            picture=np.asarray(picture, dtype=np.uint8),
            mm_per_px=self.camera.mm_per_px,
            captured_s=captured_s,
        )
        self._recover()
        if self._latest.put(frame):
            self._sequence += 1

    def _recover(self) -> None:
        self._backoff.reset()
        if self._is_lost:
            _log.warning("camera %s: it shows pictures again", self.camera.name)
        self._is_lost = False

    def _report(self, detail: str) -> None:
        if not self._is_lost:  # once, however often it is sought in vain
            _log.warning("camera %s: %s", self.camera.name, detail)
        self._is_lost = True
        self._latest.tell(lose(self.camera, "no_input", detail))


class _Pace:
    """Lets through ``frames_per_s`` of a stream that is faster, and all of one that is not."""

    def __init__(self, frames_per_s: float) -> None:
        self._interval_s = 1 / frames_per_s
        self._due_s = 0.0

    def is_due(self, now_s: float) -> bool:
        """Half an interval of slack: a frame that comes a little early is not skipped."""
        slack_s = self._interval_s / 2
        if now_s < self._due_s - slack_s:
            return False
        self._due_s = max(self._due_s, now_s - slack_s) + self._interval_s
        return True
