"""Cameras that can be switched off: pictures over real sockets, as MJPEG in HTTP."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np

from inference_core.contract.serve import FrameLost
from inference_core.pipeline.frames import Frame
from inference_core.pipeline.sources import Source

PATIENCE_S = 20.0


def paint(number: int, size: tuple[int, int] = (64, 48)) -> np.ndarray:
    """A grey picture whose brightness says its number, roughly: 0 to 31."""
    return np.full((size[1], size[0], 3), 4 + number % 32 * 7, np.uint8)


def read_number(picture: np.ndarray) -> int:
    return round((float(picture.mean()) - 4) / 7)


def write_video(path: Path, frames: int, fps: float = 10) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), fps, (64, 48))
    for number in range(frames):
        writer.write(paint(number))
    writer.release()
    return path


class MjpegCamera:
    """Serves a new picture every ``interval_s`` to each viewer, until it is switched off."""

    def __init__(self, interval_s: float = 0.02, port: int = 0) -> None:
        self.interval_s = interval_s
        self.is_on = threading.Event()
        self.is_on.set()
        self.viewers = 0
        camera = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                camera.viewers += 1
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
                self.end_headers()
                try:
                    camera.show(self.wfile.write)
                except OSError:
                    return  # the viewer is gone

            def log_message(self, *args: object) -> None:
                """Silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    @property
    def address(self) -> str:
        return f"http://admin:s3cret-word@127.0.0.1:{self.port}/video?token=t0ken-word"

    def show(self, write: Callable[[bytes], object]) -> None:
        number = 0
        while self.is_on.is_set():
            data = cv2.imencode(".jpg", paint(number))[1].tobytes()
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
            write(head.encode() + data + b"\r\n")
            number += 1
            time.sleep(self.interval_s)

    def switch_off(self) -> None:
        self.is_on.clear()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def take_until(
    source: Source, is_wanted: Callable[[Frame | FrameLost], bool]
) -> list[Frame | FrameLost]:
    """All that a source gives up to the first that is wanted."""
    deadline_s, taken = time.monotonic() + PATIENCE_S, []
    while time.monotonic() < deadline_s:
        taken.append(source.take())
        if is_wanted(taken[-1]):
            return taken
    raise AssertionError(f"the source never gave it, but {taken[-5:]}")


def is_frame(item: Frame | FrameLost) -> bool:
    return isinstance(item, Frame)


def is_no_input(item: Frame | FrameLost) -> bool:
    return isinstance(item, FrameLost) and item.cause == "no_input"
