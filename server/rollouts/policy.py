"""What a rollout asks of its devices before it goes on; stored with the rollout, never changed."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from inference_core.contract.base import Document
from inference_core.contract.device import ProbationLimits

MAX_STAGES = 20
MONTH_S = 31 * 86_400.0
UNLIMITED = 1_000_000
"""The highest count that a limit may have; no fleet reaches it."""

Share = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0, le=MONTH_S, allow_inf_nan=False)]


class StagePlan(Document):
    """How far a stage reaches, earlier stages included: a number of devices, or a share."""

    devices: int | None = Field(default=None, ge=1, le=1_000_000)
    share: Share | None = None

    @model_validator(mode="after")
    def _is_one_of_the_two(self) -> StagePlan:
        if (self.devices is None) == (self.share is None):
            raise ValueError("a stage has either `devices` or `share`")
        return self


class ErrorLimit(Document):
    """How many failed devices a stage endures: a count, or a share of those with an outcome."""

    count: int | None = Field(default=None, ge=0, le=UNLIMITED)
    share: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)] | None = None

    @model_validator(mode="after")
    def _is_one_of_the_two(self) -> ErrorLimit:
        if (self.count is None) == (self.share is None):
            raise ValueError("an error limit is either a `count` or a `share`")
        return self


class ProbationRules(ProbationLimits, Document):
    """The contract's limits as a person writes them: a typing mistake is no silent default."""

    model_config = ConfigDict(allow_inf_nan=False)


class RolloutPolicy(Document):
    """The gate of every stage, the pace, and how each device proves itself.

    The lower bounds of ``min_devices`` and ``min_frames`` are what makes "no data is never a
    pass" hold for every policy that can be written.
    """

    min_devices: int = Field(default=1, ge=1, le=1_000_000)
    min_success_share: Share = 1.0
    min_soak_s: Seconds = 60.0
    min_frames: int = Field(default=20, ge=1, le=10**9, description="On every device.")
    error_limit: ErrorLimit = ErrorLimit(count=0)
    max_faults: int = Field(
        default=0, ge=0, le=UNLIMITED, description="Frames on which a model failed."
    )
    max_crashes: int = Field(
        default=0, ge=0, le=UNLIMITED, description="Crashed, hung or out of memory."
    )
    max_p95_ms: float | None = Field(default=None, gt=0, le=1e6, allow_inf_nan=False)
    max_p95_ratio: float | None = Field(
        default=None,
        gt=0,
        le=100,
        allow_inf_nan=False,
        description="Against devices of the same profile that still run the previous release.",
    )
    deadline_s: Annotated[float, Field(gt=0, le=MONTH_S, allow_inf_nan=False)] = 86_400.0
    when_offline: Literal["wait", "skip", "fail"] = "wait"
    max_skip_share: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 0.1
    max_concurrent: int = Field(default=50, ge=1, le=100_000)
    probation: ProbationRules = ProbationRules()

    def max_skipped(self, devices: int) -> int:
        """How many of a stage's ``devices`` may be left behind offline."""
        return int(devices * self.max_skip_share)
