"""Lines of a gate's table, and the words in them."""

from __future__ import annotations

from collections.abc import Mapping

from server.rollouts.evidence import MetricLine, Word


def at_most(name: str, value: float, limit: float, *, n: int, why: str) -> MetricLine:
    """A line that passes up to ``limit``, and fails above."""
    word: Word = "fail" if value > limit else "pass"
    return MetricLine(name=name, value=value, limit=limit, n=n, verdict=word, why=why)


def unknown(name: str, limit: float | None, why: str) -> MetricLine:
    """A line that holds, for want of a figure."""
    return MetricLine(name=name, value=None, limit=limit, n=0, verdict="hold", why=why)


def by_cause(counts: Mapping[str, int]) -> str:
    """``: crashed ×2, hung ×1``; empty where nothing is counted."""
    found = sorted(((n, cause) for cause, n in counts.items() if n), reverse=True)
    return ": " + ", ".join(f"{cause} ×{n}" for n, cause in found) if found else ""


def devices(count: int) -> str:
    """How many of them, in words."""
    return f"{count} {noun(count)}"


def noun(count: int) -> str:
    """The word for ``count`` of them."""
    return "device" if count == 1 else "devices"


def was(count: int) -> str:
    """The word that follows ``count`` devices."""
    return "was" if count == 1 else "were"
