"""SamplingPolicy: which frames a device shows to people, and what that may cost."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from inference_core.contract.base import Message

SampleReason = Literal["random", "uncertain", "disagreement", "diverse", "requested"]
PHash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
"""A perceptual hash of 64 bits."""

Share = Annotated[float, Field(ge=0, le=1)]


class SamplingPolicy(Message):
    """The budget of uploads and how it is divided.

    Every frame, also one that passed, keeps an inclusion probability of at least
    ``min_probability`` as long as anything may be uploaded: reviewing rejects alone cannot
    measure escapes.
    """

    bytes_per_day: int = Field(default=20_000_000, ge=0)
    min_probability: float = Field(default=1e-4, gt=0, le=1)
    random_share: Share = 0.40
    uncertain_share: Share = 0.30
    disagreement_share: Share = 0.15
    diverse_share: Share = 0.15

    @model_validator(mode="after")
    def _shares_are_of_one_whole(self) -> SamplingPolicy:
        shares = (
            self.random_share,
            self.uncertain_share,
            self.disagreement_share,
            self.diverse_share,
        )
        if sum(shares) > 1 + 1e-9:
            raise ValueError(f"the shares add up to {sum(shares):.3f}, more than the whole budget")
        return self

    @property
    def chosen_share(self) -> float:
        """Of all that is not random."""
        return self.uncertain_share + self.disagreement_share + self.diverse_share

    def per_random(self, share: float) -> float:
        """How many samples a stream with this share gets for each random one.

        Where the policy wants none at random, the share is of one frame in ``sample_every_s``.
        """
        return share / (self.random_share or 1.0)


class SampleDraw(Message):
    """How a frame came to be sampled. The probability was fixed before the draw."""

    probability: float = Field(gt=0, le=1)
    reason: SampleReason
    phash: PHash
