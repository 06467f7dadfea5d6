"""PipelineSpec: stages that look at a part, and rules that say PASS or FAIL."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from inference_core.contract.base import Document, Slug

Share = Annotated[float, Field(ge=0, le=1)]
StageId = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=50)]


class Stage(Document):
    """One model on the whole frame or on a fixed region of it."""

    id: StageId
    model: Slug
    region: tuple[Share, Share, Share, Share] | None = Field(
        default=None, description="x, y, width, height as shares of the frame; None is all of it."
    )

    @model_validator(mode="after")
    def _region_lies_in_the_frame(self) -> Stage:
        if self.region is not None:
            x, y, width, height = self.region
            if width <= 0 or height <= 0 or x + width > 1 or y + height > 1:
                raise ValueError(f"the region of stage {self.id!r} leaves the frame or is empty")
        return self


class Rule(Document):
    """The part fails when ``fail`` is true, and also when it cannot be evaluated."""

    fail: str = Field(min_length=1, max_length=500)
    because: str = Field(min_length=1, max_length=200)


class PipelineSpec(Document):
    """A graph of stages, the rules over their results, and the time that a part may take."""

    pipeline: Slug
    stages: tuple[Stage, ...] = Field(min_length=1, max_length=16)
    rules: tuple[Rule, ...] = Field(min_length=1, max_length=64)
    budget_ms: float = Field(default=100.0, gt=0, le=60_000)

    @model_validator(mode="after")
    def _stage_ids_differ(self) -> PipelineSpec:
        ids = [stage.id for stage in self.stages]
        if len(set(ids)) != len(ids):
            raise ValueError(f"stage ids repeat: {sorted(ids)}")
        return self

    @property
    def models(self) -> frozenset[str]:
        """Names of the models that the stages use."""
        return frozenset(stage.model for stage in self.stages)
