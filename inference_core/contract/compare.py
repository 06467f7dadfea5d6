"""Messages between a worker and the child that holds two versions against the same pictures."""

from __future__ import annotations

from typing import Annotated, Literal, Union

from pydantic import Field, TypeAdapter

from inference_core.contract.base import Document, Message, Sha256
from inference_core.contract.build import LatencyFigures, MetricName
from inference_core.contract.manifest import ModelManifest
from inference_core.contract.results import StageResult


class CompareSide(Document):
    """One of the two versions."""

    model_path: str
    source_sha256: Sha256
    manifest: ModelManifest


class CompareJob(Document):
    """All that the child needs; paths are absolute and private to the comparison."""

    a: CompareSide
    b: CompareSide
    dataset_dir: str
    dataset_sha256: Sha256
    pictures_path: str = Field(description="Where a ComparedPicture is written a line.")
    threads: int = Field(default=2, ge=1, le=256)


class Judged(Message):
    """What one version said of a picture."""

    answer: str
    score: float = Field(description="How sure it was of it, 0 to 1.")
    is_right: bool = Field(description="Against the label, by the rule of its task.")
    found: StageResult | None = None


class ComparedPicture(Message):
    """A picture with its label and both answers."""

    image: str = Field(description="Path within the dataset.")
    image_sha256: Sha256
    width: int
    height: int
    label: str = Field(description="What is true, in the words of an answer.")
    classes: tuple[str, ...] = Field(default=(), description="Classes in the label.")
    truth: StageResult | None = None
    a: Judged
    b: Judged
    agrees: bool = Field(description="A rule would say the same of both.")


class RightCounts(Message):
    """How many pictures each version judged right."""

    pictures: int
    a: int
    b: int


class CompareFigures(Message):
    """Both versions on all pictures. ``metric`` is the one of parity certificates."""

    metric: MetricName
    images: int
    a: float
    b: float
    per_class: dict[str, tuple[float, float]] = Field(
        default_factory=dict, description="label: (A, B)"
    )
    per_slice: dict[str, tuple[float, float]] = Field(
        default_factory=dict, description='"light=evening": (A, B)'
    )
    right: RightCounts
    right_per_class: dict[str, RightCounts] = Field(
        default_factory=dict, description="Of the pictures with this class in their label."
    )
    only_a_wrong: int
    only_b_wrong: int
    both_wrong: int
    disagree: int
    score_shift: float = Field(description="Mean of B's score minus A's.")
    latency_a: LatencyFigures
    latency_b: LatencyFigures
    toolchain: dict[str, str] = Field(default_factory=dict)


class CompareProgress(Message):
    """``share`` is how much is done, 0 to 1."""

    event: Literal["progress"] = "progress"
    share: float = Field(ge=0, le=1)
    detail: str


class CompareOutcome(Message):
    """The last line of the child: the figures, or why there are none."""

    event: Literal["outcome"] = "outcome"
    reason: str
    figures: CompareFigures | None = None


CompareEvent = Annotated[Union[CompareProgress, CompareOutcome], Field(discriminator="event")]
COMPARE_EVENT: TypeAdapter[CompareProgress | CompareOutcome] = TypeAdapter(CompareEvent)

__all__ = [
    "COMPARE_EVENT",
    "CompareFigures",
    "CompareJob",
    "CompareOutcome",
    "CompareProgress",
    "CompareSide",
    "ComparedPicture",
    "Judged",
    "RightCounts",
]
