"""How often the right class came first, or among the first k."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

Ranking = Sequence[str]
"""Classes of one picture, the likeliest first."""


def top_k_accuracy(truths: Sequence[str], rankings: Sequence[Ranking], k: int = 1) -> float:
    """Share of pictures whose class is among the first ``k``. ``ValueError`` for no picture."""
    if not truths:
        raise ValueError("accuracy needs a picture")
    pairs = zip(truths, rankings, strict=True)
    return sum(truth in ranking[:k] for truth, ranking in pairs) / len(truths)


def recall_by_class(truths: Sequence[str], rankings: Sequence[Ranking]) -> dict[str, float]:
    """Of each class that is there, the share of pictures where it came first."""
    pairs = zip(truths, rankings, strict=True)
    hits = Counter(truth for truth, ranking in pairs if ranking and ranking[0] == truth)
    return {label: hits[label] / count for label, count in sorted(Counter(truths).items())}
