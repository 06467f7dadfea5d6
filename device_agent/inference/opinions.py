"""A second opinion: frames that one child shares are judged by another, one at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from device_agent.inference.child import Child
from inference_core.contract.results import FrameResult
from inference_core.contract.serve import FrameDone, FrameJudged, JudgeFrame

OnPair = Callable[[str, FrameResult, "FrameResult | None"], None]
"""Takes the digest of the release that shared, what it said, and what the other said or None."""


class _Waiting(NamedTuple):
    path: Path
    sharer_sha256: str
    said: FrameResult


class SecondOpinion:
    """Methods may be called from any thread, mostly from the children's own.

    One frame at a time is out: a judge that is slower than the cameras skips frames, and what
    waits for it never grows. The frame's file is gone once it has been answered or skipped.
    """

    def __init__(self, folder: Path, on_pair: OnPair) -> None:
        self._folder, self._on_pair = folder, on_pair
        self._lock = threading.Lock()
        self._waiting: _Waiting | None = None

    def ask(self, done: FrameDone, sharer: Child, judge: Child | None) -> None:
        """Hand a shared frame on, if ``judge`` has time for it."""
        if done.shared_path is None:
            return
        said = done.result
        path = self._folder / Path(done.shared_path).name  # nothing outside the folder is touched
        waiting = _Waiting(path, sharer.release_sha256, said)
        if judge is None or not judge.is_ready or not self._begin(waiting):
            path.unlink(missing_ok=True)
            self._on_pair(sharer.release_sha256, said, None)
            return
        camera = next(camera for camera in sharer.job.cameras if camera.name == said.camera)
        judge.tell(
            JudgeFrame(
                path=str(path),
                camera=said.camera,
                role=camera.role,
                sequence=said.sequence,
                source=said.source,
                captured_at=said.captured_at,
                mm_per_px=camera.mm_per_px,
            )
        )

    def answer(self, judged: FrameJudged) -> None:
        """Pair what the judge said with the frame that waits; an answer to none is dropped."""
        with self._lock:
            waiting = self._waiting
            if waiting is None or str(waiting.path) != judged.path:
                return
            self._waiting = None
        waiting.path.unlink(missing_ok=True)
        self._on_pair(waiting.sharer_sha256, waiting.said, judged.result)

    def forget(self) -> None:
        """The judge is gone: nobody will answer."""
        with self._lock:
            waiting, self._waiting = self._waiting, None
        if waiting:
            waiting.path.unlink(missing_ok=True)

    def _begin(self, waiting: _Waiting) -> bool:
        with self._lock:
            is_free = self._waiting is None
            if is_free:
                self._waiting = waiting
            return is_free


def drop_shared(folder: Path, done: FrameDone) -> None:
    """Remove a shared frame that nobody is there to judge."""
    if done.shared_path:
        (folder / Path(done.shared_path).name).unlink(missing_ok=True)


def clear_shared(folder: Path) -> None:
    """Remove frames that a killed child left behind; one that is still wanted is skipped."""
    for path in folder.iterdir():
        path.unlink(missing_ok=True)
