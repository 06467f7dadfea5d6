"""Sampled frames on disk, for the agent to fetch."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from inference_core.contract.results import FrameResult
from inference_core.contract.telemetry import MAX_SAMPLE_BYTES
from inference_core.errors import BadInput
from inference_core.files import write_atomically
from inference_core.picture import Picture
from inference_core.pipeline.sinks import encode_jpeg

MAX_WAITING = 200
"""An agent that does not fetch must not cost the device its disk."""

_log = logging.getLogger(__name__)
_QUALITIES = (92, 75, 50)


class Spool:
    """Writes one frame of each camera every ``sample_every_s``, the first one at once."""

    def __init__(self, folder: Path, sample_every_s: float) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadInput(f"the spool folder cannot be made: {error}") from error
        self._folder = folder
        self._sample_every_s = sample_every_s
        self._due_s: dict[str, float] = {}

    def offer(self, picture: Picture, result: FrameResult) -> Path | None:
        """The path of the raw picture as JPEG if this frame is sampled; it appears whole.

        A full disk or spool costs the sample, never the verdict.
        """
        now_s = time.monotonic()
        if now_s < self._due_s.get(result.camera, now_s):
            return None
        self._due_s[result.camera] = now_s + self._sample_every_s
        try:
            return self._write(picture, result)
        except OSError as error:
            _log.warning("no sample: %s", error)
            return None

    def _write(self, picture: Picture, result: FrameResult) -> Path | None:
        if sum(1 for _ in self._folder.glob("*.jpg")) >= MAX_WAITING:
            _log.warning("no sample: %d wait to be fetched", MAX_WAITING)
            return None
        data = next(
            (
                data
                for quality in _QUALITIES
                if len(data := encode_jpeg(picture, quality)) <= MAX_SAMPLE_BYTES
            ),
            None,
        )
        if data is None:
            _log.warning("no sample: the picture is over %d bytes as JPEG", MAX_SAMPLE_BYTES)
            return None
        # The time keeps names apart across restarts of the child.
        path = self._folder / f"{result.camera}-{time.time_ns()}-{result.sequence:08d}.jpg"
        write_atomically(path, data)
        return path
