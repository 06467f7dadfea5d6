"""Base-2 exponential histogram, as in OpenTelemetry's data model, without a dependency.

Bucket ``i`` at scale ``s`` holds values in ``(b**i, b**(i+1)]`` with ``b = 2**(2**-s)``.
Counts and the sum are integers, so that merging is commutative, associative and exact.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from pydantic import Field

from inference_core.contract.base import Message

SCALE = 4
"""16 buckets a doubling: a quantile is within 2.2 % of the true value."""

_SMALLEST = 1e-9


class ExponentialHistogram(Message):
    """Counts of positive values by bucket; values up to 1e-9 are counted as zero."""

    scale: int = Field(default=SCALE, ge=0, le=20)
    zeros: int = Field(default=0, ge=0)
    buckets: dict[int, int] = Field(default_factory=dict, max_length=4096)
    sum_micro: int = Field(default=0, ge=0, description="Sum of the values in millionths.")

    @classmethod
    def of(cls, values: Iterable[float]) -> ExponentialHistogram:
        """Histogram of finite, non-negative values; ``ValueError`` names one that is not."""
        zeros, sum_micro, buckets = 0, 0, dict[int, int]()
        for value in values:
            if not math.isfinite(value) or value < 0:
                raise ValueError(f"a histogram takes finite values from zero up, not {value}")
            sum_micro += round(value * 1e6)
            if value <= _SMALLEST:
                zeros += 1
            else:
                index = math.ceil(math.log2(value) * 2**SCALE) - 1
                buckets[index] = buckets.get(index, 0) + 1
        return cls(zeros=zeros, buckets=dict(sorted(buckets.items())), sum_micro=sum_micro)

    @property
    def count(self) -> int:
        """How many values were counted."""
        return self.zeros + sum(self.buckets.values())

    @property
    def mean(self) -> float | None:
        """Arithmetic mean, or None of nothing."""
        return self.sum_micro / 1e6 / self.count if self.count else None

    def merge(self, other: ExponentialHistogram) -> ExponentialHistogram:
        """Histogram of both; the scales must be equal."""
        if self.scale != other.scale:
            raise ValueError(f"cannot merge scale {self.scale} with {other.scale}")
        buckets = dict(self.buckets)
        for index, count in other.buckets.items():
            buckets[index] = buckets.get(index, 0) + count
        return ExponentialHistogram(
            scale=self.scale,
            zeros=self.zeros + other.zeros,
            buckets=dict(sorted(buckets.items())),
            sum_micro=self.sum_micro + other.sum_micro,
        )

    def quantile(self, share: float) -> float | None:
        """Smallest bucket midpoint with at least ``share`` of the values at or below it."""
        if not 0 <= share <= 1:
            raise ValueError(f"a quantile lies in 0..1, not {share}")
        if not self.count:
            return None
        wanted, seen = max(1, math.ceil(share * self.count)), self.zeros
        if seen >= wanted:
            return 0.0
        for index, count in sorted(self.buckets.items()):
            seen += count
            if seen >= wanted:
                return float(2 ** ((index + 0.5) / 2**self.scale))
        raise AssertionError("the buckets hold fewer values than their count")
