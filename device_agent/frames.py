"""What the inference children say of frames: counted, watched, and kept for review."""

from __future__ import annotations

from device_agent.building.abilities import Pace
from device_agent.cameras import Cameras
from device_agent.inference.child import Event
from device_agent.log import Edge
from device_agent.sampling.samples import Samples
from device_agent.summaries import Summaries
from inference_core.contract.serve import FrameDone, FrameLost


class Frames:
    """``take`` is called on the children's reader threads, and never waits."""

    def __init__(
        self, summaries: Summaries, cameras: Cameras, samples: Samples, pace: Pace
    ) -> None:
        self._summaries, self._cameras, self._samples = summaries, cameras, samples
        self._pace = pace
        self._sampling = Edge("keeping samples")

    def take(self, release_sha256: str, event: Event) -> None:
        """Take in what a child that serves this release has said."""
        if isinstance(event, (FrameDone, FrameLost)):
            self._summaries.add(release_sha256, event)
            self._cameras.take(event)
            self._pace.take(event)
        if isinstance(event, FrameDone):
            self._keep_sample(release_sha256, event)

    def _keep_sample(self, release_sha256: str, event: FrameDone) -> None:
        try:
            self._samples.keep(release_sha256, event)
        except OSError as error:  # a full disk costs the picture, never the reading of verdicts
            self._sampling.broke(error)
        else:
            self._sampling.works()
