"""PipelineSpec: stages that look at a part, and rules that say PASS or FAIL."""

from __future__ import annotations

import ast
from typing import Annotated, Any

from pydantic import Field, model_validator

from inference_core.contract.base import Document, Slug

Share = Annotated[float, Field(ge=0, le=1)]
Place = tuple[Share, Share]
"""x and y."""

StageId = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=50)]


class Tiles(Document):
    """A large frame is looked at in overlapping tiles; what two tiles found is merged."""

    size_px: tuple[int, int] = Field(description="Width and height of a tile, frame pixels.")
    overlap: float = Field(default=0.2, ge=0, le=0.8, description="Share of a tile's side.")
    max_tiles: int = Field(default=64, ge=1, le=1024)

    @model_validator(mode="after")
    def _has_a_size(self) -> Tiles:
        if min(self.size_px) < 16:
            raise ValueError("a tile has at least 16 pixels a side")
        return self


class Track(Document):
    """Follows the boxes of a detector from frame to frame, and counts what crosses.

    Places are shares of the frame. Seen from the line's first point to its second, an object
    that goes to the left-hand side has ``entered``.
    """

    line: tuple[Place, Place] | None = None
    zone: tuple[Place, ...] | None = Field(default=None, min_length=3, max_length=50)
    labels: tuple[str, ...] | None = Field(default=None, description="None counts every class.")
    max_missing_s: float = Field(
        default=0.5, gt=0, le=60, description="An object unseen for longer is a new one."
    )
    begin_score: Share = Field(
        default=0.5, description="A box below this carries an object on, but begins none."
    )

    @model_validator(mode="after")
    def _has_one_border(self) -> Track:
        if (self.line is None) == (self.zone is None):
            raise ValueError("give either line or zone")
        if self.line is not None and self.line[0] == self.line[1]:
            raise ValueError("the line's two points are one")
        return self


class Stage(Document):
    """One model on the whole frame, on a fixed region, in tiles, or on what another stage found.

    ``after`` alone orders; with ``escalate_when`` at the earlier stage it makes a cascade: this
    stage runs only where that expression over the earlier stage's findings is true.
    """

    id: StageId
    model: Slug
    region: tuple[Share, Share, Share, Share] | None = Field(
        default=None, description="x, y, width, height as shares of the frame; None is all of it."
    )
    after: StageId | None = None
    escalate_when: str | None = Field(
        default=None,
        min_length=1,
        max_length=500,
        description='For example "confidence < 0.92"; where it cannot be evaluated, it is true.',
    )
    crops_of: StageId | None = Field(
        default=None, description="Looks at each box or text box that the named stage found."
    )
    tiles: Tiles | None = None
    track: Track | None = None

    @model_validator(mode="before")
    @classmethod
    def _lift_the_model(cls, given: Any) -> Any:
        """``track: {model: …}`` reads well too, and means the model of the stage."""
        if isinstance(given, dict) and isinstance(given.get("track"), dict):
            track = dict(given["track"])
            if "model" in track and "model" not in given:
                return {**given, "model": track.pop("model"), "track": track}
        return given

    @model_validator(mode="after")
    def _region_lies_in_the_frame(self) -> Stage:
        if self.region is not None:
            x, y, width, height = self.region
            if width <= 0 or height <= 0 or x + width > 1 or y + height > 1:
                raise ValueError(f"the region of stage {self.id!r} leaves the frame or is empty")
        return self

    @model_validator(mode="after")
    def _looks_at_one_thing(self) -> Stage:
        if self.crops_of is not None and (self.region or self.tiles or self.track):
            raise ValueError(f"stage {self.id!r}: crops_of excludes region, tiles and track")
        return self


class Rule(Document):
    """The part fails when ``fail`` is true, and also when it cannot be evaluated."""

    fail: str = Field(min_length=1, max_length=500)
    because: str = Field(min_length=1, max_length=200)

    @property
    def stages(self) -> frozenset[str]:
        """Ids of the stages that it speaks of; none where it has no sense at all."""
        try:
            tree = ast.parse(self.fail.strip(), mode="eval")
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return frozenset()
        return frozenset(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))


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

    @model_validator(mode="after")
    def _stages_follow_earlier_ones(self) -> PipelineSpec:
        known: set[str] = set()
        for stage in self.stages:
            for earlier in (stage.after, stage.crops_of):
                if earlier is not None and earlier not in known:
                    raise ValueError(f"stage {stage.id!r} follows {earlier!r}, not an earlier one")
            known.add(stage.id)
        return self

    @property
    def models(self) -> frozenset[str]:
        """Names of the models that the stages use."""
        return frozenset(stage.model for stage in self.stages)

    @property
    def frame_models(self) -> frozenset[str]:
        """Names of the models that are shown whole frames; the others see regions or crops."""
        whole = (s for s in self.stages if s.region is None and s.crops_of is None)
        return frozenset(stage.model for stage in whole)

    def seen_by(self, model: str) -> PipelineSpec | None:
        """The stages of one model on pictures of what they look at, and the rules over them alone.

        None where no rule is: such pictures cannot be judged.
        """
        stages = tuple(Stage(id=s.id, model=s.model) for s in self.stages if s.model == model)
        ids = {stage.id for stage in stages}
        rules = tuple(rule for rule in self.rules if rule.stages and rule.stages <= ids)
        if not stages or not rules:
            return None
        return PipelineSpec(
            pipeline=self.pipeline, stages=stages, rules=rules, budget_ms=self.budget_ms
        )
