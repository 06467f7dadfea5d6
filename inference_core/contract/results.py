"""What one frame gave, as it crosses a process or the wire. Pixels are of the whole frame."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from inference_core.contract.base import Message, added
from inference_core.contract.signals import PictureQuality
from inference_core.contract.words import FailureCause, VerdictWord

Point = tuple[float, float]
Polygon = Annotated[tuple[Point, ...], Field(max_length=2000)]


class RegionResult(Message):
    """A connected region of one class, for example a scratch."""

    label: str
    score: float = Field(description="Mean probability over the region, 0 to 1.")
    xyxy: tuple[float, float, float, float]
    polygon: Polygon = ()
    area_px: float
    area_mm2: float | None = None
    length_mm: float | None = Field(default=None, description="Longer side of the tight box.")


class TextLineResult(Message):
    """A line of text as it was read."""

    text: str
    score: float = Field(description="Mean probability of the characters, 0 to 1.")
    polygon: Polygon


class BoxResult(Message):
    """An object that a detector found."""

    label: str
    class_id: int = Field(ge=0)
    score: float = Field(description="0 to 1.")
    xyxy: tuple[float, float, float, float]
    track_id: int | None = Field(default=None, description="The same object keeps its number.")


class ClassResult(Message):
    """A class of the whole picture; a classifier gives several, the likeliest first."""

    label: str
    class_id: int = Field(ge=0)
    score: float = Field(description="Probability, 0 to 1.")


class TextBoxResult(Message):
    """A place where text stands, not read yet."""

    score: float = Field(description="Mean probability inside the box, 0 to 1.")
    polygon: Polygon


class Counts(Message):
    """Objects that crossed a line or a zone's border since the stage began; each counts once."""

    entered: dict[str, int] = Field(
        default_factory=dict,
        description="By label: into the zone, or over the line from its right to its left.",
    )
    left: dict[str, int] = Field(default_factory=dict, description="The other way.")
    inside: dict[str, int] = Field(default_factory=dict, description="In the zone now.")


class StageLatency(Message):
    """Milliseconds of one stage."""

    preprocess: float
    infer: float
    postprocess: float
    total: float


class StageResult(Message):
    """What one stage of the pipeline found."""

    stage: str
    regions: tuple[RegionResult, ...] = Field(default=(), max_length=1000)
    lines: tuple[TextLineResult, ...] = Field(default=(), max_length=1000)
    boxes: tuple[BoxResult, ...] = added((), max_length=1000)
    classes: tuple[ClassResult, ...] = added((), max_length=1000)
    text_boxes: tuple[TextBoxResult, ...] = added((), max_length=1000)
    anomaly_score: float | None = Field(default=None, description="Of the picture, 0 to 1.")
    counts: Counts | None = None
    skipped: bool = added(
        False, description="A stage before it was sure enough, so it did not run."
    )
    latency_ms: StageLatency
    fault: FailureCause | None = Field(
        default=None, description="Set where the model failed on this frame, e.g. not_finite."
    )


class FrameResult(Message):
    """The verdict on one part with all that led to it."""

    camera: str
    sequence: int = Field(ge=0)
    source: str = Field(description="File name or address of the picture.")
    captured_at: datetime
    width: int
    height: int
    verdict: VerdictWord
    reasons: tuple[str, ...] = ()
    stages: tuple[StageResult, ...]
    latency_ms: float = Field(description="Picture read to verdict.")
    quality: PictureQuality | None = None
    budget_ms: float

    @property
    def fault(self) -> FailureCause | None:
        """The first model failure on this frame; such a frame is always FAIL."""
        return next((stage.fault for stage in self.stages if stage.fault), None)
