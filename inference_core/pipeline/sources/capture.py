"""OpenCV's readers of videos and streams, opened with time-outs and without secrets in errors."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

import cv2

from inference_core.contract.addresses import redact
from inference_core.errors import BadInput

VIDEO_SUFFIXES = frozenset({".avi", ".mp4", ".m4v", ".mkv", ".mov", ".mpg", ".mpeg", ".webm"})
OPEN_TIMEOUT_MS = 5000
READ_TIMEOUT_MS = 5000

_TIMEOUTS = [
    cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
    OPEN_TIMEOUT_MS,
    cv2.CAP_PROP_READ_TIMEOUT_MSEC,
    READ_TIMEOUT_MS,
]
_BACKENDS = (cv2.CAP_FFMPEG, cv2.CAP_GSTREAMER)
"""For streams, the first that this OpenCV has: JetPack's may come with GStreamer alone."""


def open_video(path: Path) -> cv2.VideoCapture:
    """A video file. Raises ``BadInput`` where it cannot be read as one."""
    if not path.is_file():
        raise BadInput(f"the video {path} is not there")
    video = cv2.VideoCapture(str(path.absolute()), cv2.CAP_FFMPEG)
    if not video.isOpened():
        raise BadInput(f"{path.name} cannot be read as a video")
    return video


def open_stream(address: str) -> cv2.VideoCapture:
    """A camera at ``rtsp://``, ``http://`` or ``v4l2://``. Raises ``BadInput`` where none answers.

    Blocks for at most ``OPEN_TIMEOUT_MS`` where OpenCV's reader keeps to it.
    """
    stream = _open_device(address) if address.startswith("v4l2:") else _open_network(address)
    if not stream.isOpened():
        raise BadInput(f"the camera {redact(address)} does not answer")
    stream.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # an old picture is worth nothing; some ignore it
    return stream


def check_stream_address(address: str) -> None:
    """Raises ``BadInput`` for an address that can never work."""
    parts = urlsplit(address)
    if parts.scheme == "v4l2":
        if not unquote(parts.path).startswith("/dev/"):
            raise BadInput(f"{redact(address)!r} is no device; write v4l2:///dev/video0")
    elif not parts.hostname:
        raise BadInput(f"{redact(address)!r} names no host; write {parts.scheme}://camera.local/…")


def _open_device(address: str) -> cv2.VideoCapture:
    return cv2.VideoCapture(unquote(urlsplit(address).path), cv2.CAP_V4L2)


def _open_network(address: str) -> cv2.VideoCapture:
    known = cv2.videoio_registry.getStreamBackends()
    backend = next((backend for backend in _BACKENDS if backend in known), None)
    if backend is None:
        raise BadInput("this OpenCV reads no streams; install one with FFmpeg or GStreamer")
    return cv2.VideoCapture(address, backend, _TIMEOUTS)
