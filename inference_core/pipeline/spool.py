"""Sampled frames on disk, for the agent to fetch."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import NamedTuple

from inference_core.contract.results import FrameResult
from inference_core.contract.sampling import SampleDraw
from inference_core.contract.serve import SetSampleRates
from inference_core.contract.telemetry import MAX_SAMPLE_BYTES
from inference_core.errors import BadInput
from inference_core.files import write_atomically
from inference_core.picture import Picture
from inference_core.pipeline.sampling import ALL_THAT_IS_WANTED, Sampler
from inference_core.pipeline.sinks import encode_jpeg

MAX_WAITING = 200
"""An agent that does not fetch must not cost the device its disk."""

_log = logging.getLogger(__name__)
_QUALITIES = (92, 75, 50)


class Sample(NamedTuple):
    """A frame that was drawn. Without a path its picture could not be kept: that is counted."""

    draw: SampleDraw
    path: Path | None


class Spool:
    """Writes the pictures of the frames that the sampler draws."""

    def __init__(self, folder: Path, sampler: Sampler) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadInput(f"the spool folder cannot be made: {error}") from error
        self._folder = folder
        self._sampler = sampler

    def offer(
        self, picture: Picture, result: FrameResult, rates: SetSampleRates | None = None
    ) -> Sample | None:
        """The raw picture as JPEG if this frame is drawn; the file appears whole.

        ``rates`` is what the upload budget allows; None is all that is wanted. A full disk or
        spool costs the picture, never the verdict.
        """
        draw = self._sampler.draw(picture, result, rates or ALL_THAT_IS_WANTED)
        if draw is None:
            return None
        try:
            return Sample(draw, self._write(picture, result))
        except OSError as error:
            _log.warning("no sample: %s", error)
            return Sample(draw, None)

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
