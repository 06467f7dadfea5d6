"""What drift is judged by: statistics of pictures and answers that merge in any order, exactly."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Annotated, Literal, TypeVar

from pydantic import Field, StringConstraints, model_validator

from inference_core.contract.base import Message, Sha256
from inference_core.contract.histogram import ExponentialHistogram

BINS = 64
FRAMES_IN_BLOCK = 32
EMBEDDING_LENGTH = 512
"""A cosine and a sine for each of 256 random frequencies."""

_MEAN_BYTES = EMBEDDING_LENGTH * 2
_MEAN_CHARACTERS = len(base64.b64encode(bytes(_MEAN_BYTES)))

Name = TypeVar("Name")
Kept = TypeVar("Kept")


class ShareHistogram(Message):
    """Counts of values from 0 to 1 in 64 bins of one width; the last bin holds 1.0 too.

    ``edges`` names the bins for good: histograms of other edges do not merge.
    """

    edges: Literal["share64.v1"] = "share64.v1"
    counts: dict[Annotated[int, Field(ge=0, lt=BINS)], Annotated[int, Field(ge=1)]] = Field(
        default_factory=dict, description="By bin; absent is none."
    )

    @classmethod
    def of(cls, values: Iterable[float]) -> ShareHistogram:
        """Histogram of the values; ``ValueError`` names one outside 0 to 1."""
        counts = dict[int, int]()
        for value in values:
            if not 0 <= value <= 1:
                raise ValueError(f"this histogram takes values from 0 to 1, not {value}")
            place = min(int(value * BINS), BINS - 1)
            counts[place] = counts.get(place, 0) + 1
        return cls(counts=dict(sorted(counts.items())))

    @property
    def count(self) -> int:
        """How many values were counted."""
        return sum(self.counts.values())

    def merge(self, other: ShareHistogram) -> ShareHistogram:
        """Histogram of both."""
        return ShareHistogram(counts=add_counts(self.counts, other.counts))


class PictureQuality(Message):
    """How a picture is exposed and focused, whatever it shows."""

    luma: float = Field(ge=0, le=1, description="Mean brightness.")
    clipped_share: float = Field(ge=0, le=1, description="Pixels that are black or white whole.")
    sharpness: float = Field(ge=0, description="Variance of the Laplacian; low is blurred.")


class EmbeddingBlock(Message):
    """Mean random Fourier features of up to 32 frames that follow each other: 1 KB.

    Means of other maps do not compare. Blocks are kept apart, so that merging is exact and a
    test can permute them.
    """

    map_sha256: Sha256
    started_at: datetime = Field(description="When the first frame was captured.")
    frames: int = Field(ge=1, le=FRAMES_IN_BLOCK)
    mean: Annotated[
        str, StringConstraints(min_length=_MEAN_CHARACTERS, max_length=_MEAN_CHARACTERS)
    ] = Field(description="512 numbers, float16, little endian, Base64.")

    @model_validator(mode="after")
    def _mean_is_base64(self) -> EmbeddingBlock:
        if len(base64.b64decode(self.mean, validate=True)) != _MEAN_BYTES:
            raise ValueError(f"a mean has {_MEAN_BYTES} bytes")
        return self


class Signals(Message):
    """Signals of one camera under one release within one UTC hour, or of a part of that hour."""

    confidence: dict[str, ShareHistogram] = Field(
        default_factory=dict, max_length=1000, description="Scores by the predicted class."
    )
    luma: ShareHistogram = ShareHistogram()
    clipped_share: ShareHistogram = ShareHistogram()
    sharpness: ExponentialHistogram = ExponentialHistogram()
    embeddings: tuple[EmbeddingBlock, ...] = Field(default=(), max_length=4096)

    def merge(self, other: Signals) -> Signals:
        """Signals of both, in any order and grouping. A block that both hold counts once."""
        return Signals(
            confidence=merge_by_name(self.confidence, other.confidence, ShareHistogram.merge),
            luma=self.luma.merge(other.luma),
            clipped_share=self.clipped_share.merge(other.clipped_share),
            sharpness=self.sharpness.merge(other.sharpness),
            embeddings=_unite((*self.embeddings, *other.embeddings)),
        )


def add_counts(one: Mapping[int, int], other: Mapping[int, int]) -> dict[int, int]:
    """Counts of both, in the order of the bins."""
    return dict(sorted(merge_by_name(one, other, int.__add__).items()))


def merge_by_name(
    one: Mapping[Name, Kept], other: Mapping[Name, Kept], merge: Callable[[Kept, Kept], Kept]
) -> dict[Name, Kept]:
    """What either has, merged where both have it."""
    merged = dict(one)
    for name, value in other.items():
        merged[name] = merge(merged[name], value) if name in merged else value
    return merged


def _unite(blocks: Iterable[EmbeddingBlock]) -> tuple[EmbeddingBlock, ...]:
    distinct = {(block.started_at, block.map_sha256, block.mean): block for block in blocks}
    return tuple(distinct[key] for key in sorted(distinct))
