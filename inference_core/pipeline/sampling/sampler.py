"""Poisson sampling of frames: each has a probability of its own, and one draw."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from inference_core.contract.results import FrameResult
from inference_core.contract.sampling import SampleDraw, SampleReason, SamplingPolicy
from inference_core.contract.serve import Camera, ServeJob, SetSampleRates
from inference_core.picture import Picture
from inference_core.pipeline.sampling.memory import Look, Memory, find_answer
from inference_core.pipeline.sampling.odds import Odds, Stream
from inference_core.pipeline.sampling.uncertainty import find_limits, weigh_uncertainty
from inference_core.signals.quality import hash_likeness

ALL_THAT_IS_WANTED = SetSampleRates(random=1.0, chosen=1.0)


class Sampler:
    """Draws with the probability π = min(1, π_random + [no near duplicate] · Σ boosts).

    It depends on this frame, on earlier ones and on earlier draws, never on its own draw: so
    Horvitz and Thompson's estimator (JASA 1952) is unbiased for all frames since the start.
    π_random is one frame of each camera in ``sample_every_s`` by the camera's nominal rate,
    times what the upload budget allows, and never below the policy's floor. The boosts are for
    uncertain frames, flicker and new sights. The first frame of a camera after a start has
    probability 1, so that a technician sees a picture at once. While nothing at all may be
    uploaded (``rates.random`` is 0), no frame is drawn.
    """

    def __init__(self, job: ServeJob, uniform: Callable[[], float] | None = None) -> None:
        """``uniform`` draws from [0, 1); without it the operating system seeds a generator."""
        self._policy = job.sampling
        self._uniform = uniform or np.random.default_rng().random
        self._limits = find_limits(job.release)
        self._lanes = {
            camera.name: _Lane(camera, job.sample_every_s, job.sampling) for camera in job.cameras
        }

    def draw(
        self, picture: Picture, result: FrameResult, rates: SetSampleRates = ALL_THAT_IS_WANTED
    ) -> SampleDraw | None:
        """How the frame came to be sampled, or None. About a millisecond for a 720p frame."""
        lane = self._lanes[result.camera]
        look = Look(hash_likeness(picture), find_answer(result))
        odds = self._find_odds(lane, look, result, rates)
        lane.memory.see(look)
        reason = odds.pick(self._uniform())
        if reason is None:
            return None
        lane.memory.take(look)
        return SampleDraw(
            probability=odds.probability, reason=reason, phash=f"{look.likeness:016x}"
        )

    def _find_odds(
        self, lane: _Lane, look: Look, result: FrameResult, rates: SetSampleRates
    ) -> Odds:
        boosts = lane.find_boosts(look, weigh_uncertainty(result, self._limits), rates.chosen)
        if rates.random == 0:
            return Odds({})
        if lane.memory.is_empty:
            return Odds({"random": 1.0})
        floor = max(self._policy.min_probability, lane.random_rate * rates.random)
        return Odds({"random": floor, **boosts})


class _Lane:
    """One camera: its rates, and what it has shown."""

    def __init__(self, camera: Camera, sample_every_s: float, policy: SamplingPolicy) -> None:
        self.memory = Memory()
        wanted = min(1.0, 1.0 / (camera.frames_per_s * sample_every_s))
        self.random_rate = wanted if policy.random_share else 0.0
        shares: dict[SampleReason, float] = {
            "uncertain": policy.uncertain_share,
            "disagreement": policy.disagreement_share,
            "diverse": policy.diverse_share,
        }
        self._streams = {
            reason: Stream(wanted * policy.per_random(share)) for reason, share in shares.items()
        }

    def find_boosts(self, look: Look, uncertainty: float, rate: float) -> dict[SampleReason, float]:
        """What is added to the random floor. A near duplicate gains nothing, and loses nothing."""
        memory = self.memory
        weights = (uncertainty, float(memory.flickers(look)), memory.weigh_novelty(look))
        if memory.is_duplicate(look):
            weights = (0.0, 0.0, 0.0)
        return {
            reason: rate * stream.find_chance(weight)
            for (reason, stream), weight in zip(self._streams.items(), weights, strict=True)
        }
