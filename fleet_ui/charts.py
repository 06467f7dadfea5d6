"""Geometry of the small charts: numbers in, SVG coordinates out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from inference_core.contract.histogram import ExponentialHistogram

BARS_PER_DOUBLING = 4


@dataclass(frozen=True)
class Bar:
    """A bar of a chart, with what it says in words."""

    x: float
    y: float
    width: float
    height: float
    title: str
    kind: str = "bar"


@dataclass(frozen=True)
class Tick:
    """A place on the horizontal axis."""

    x: float
    label: str


@dataclass(frozen=True)
class Chart:
    """A drawing of ``width`` by ``height`` units; the axis lies at ``floor``."""

    width: int
    height: int
    floor: int
    bars: tuple[Bar, ...]
    ticks: tuple[Tick, ...]
    marks: tuple[Tick, ...] = ()


def draw_histogram(histogram: ExponentialHistogram, *, width: int = 560) -> Chart | None:
    """Latency in milliseconds on a logarithmic axis with p50 and p95; None of nothing."""
    if max(histogram.buckets.values(), default=0) <= 0:
        return None
    per_bar = max(1, 2**histogram.scale // BARS_PER_DOUBLING)
    counts: dict[int, int] = {}
    for index, count in histogram.buckets.items():
        counts[index // per_bar] = counts.get(index // per_bar, 0) + count
    first, last = min(counts) - 1, max(counts) + 2
    step, top, floor = width / (last - first), 22, 120

    def at(value_ms: float) -> float:
        return (math.log2(value_ms) * BARS_PER_DOUBLING - first) * step

    def edge_ms(bar: int) -> float:
        return float(2 ** (bar / BARS_PER_DOUBLING))

    tallest = max(counts.values())
    bars = []
    for bar, count in sorted(counts.items()):
        height = max(1.5, (floor - top) * count / tallest)
        title = f"{edge_ms(bar):.3g} to {edge_ms(bar + 1):.3g} ms: {count} frames"
        bars.append(
            Bar(
                round((bar - first) * step + 1, 1),
                round(floor - height, 1),
                round(step - 2, 1),
                round(height, 1),
                title,
            )
        )
    ticks = tuple(
        Tick(round(at(ms), 1), f"{ms:g} ms") for ms in _round_values(edge_ms(first), edge_ms(last))
    )
    return Chart(width, 142, floor, tuple(bars), ticks, tuple(_quantiles(histogram, at)))


def _quantiles(histogram: ExponentialHistogram, at: Callable[[float], float]) -> list[Tick]:
    marks = []
    for share, name in ((0.5, "p50"), (0.95, "p95")):
        value_ms = histogram.quantile(share)
        if value_ms:
            marks.append(Tick(round(at(value_ms), 1), f"{name} {value_ms:.3g} ms"))
    return marks


def _round_values(low: float, high: float) -> list[float]:
    values = [
        digit * 10.0**power
        for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        for digit in (1, 2, 5)
    ]
    return [value for value in values if low * 1.05 < value < high * 0.95]


def draw_hours(hours: Sequence[tuple[str, int, int]], *, width: int = 560) -> Chart:
    """Stacked bars of (label, passed, failed), one each hour, failures on top."""
    floor, top = 120, 8
    tallest = max((passed + failed for _, passed, failed in hours), default=0) or 1
    step = width / max(1, len(hours))
    bars: list[Bar] = []
    for place, (label, passed, failed) in enumerate(hours):
        below = float(floor)
        for kind, count in (("bar-good", passed), ("bar-bad", failed)):
            height = (floor - top) * count / tallest
            title = f"{label} UTC: {passed} passed, {failed} failed"
            if height:
                x, y = round(place * step + 1, 1), round(below - height, 1)
                bars.append(Bar(x, y, round(step - 2, 1), round(height, 1), title, kind))
            below -= height
    ticks = tuple(
        Tick(round(place * step + step / 2, 1), label)
        for place, (label, _, _) in enumerate(hours)
        if place % 6 == 0
    )
    return Chart(width, 142, floor, tuple(bars), ticks)


def draw_line(values: Sequence[float | None], *, width: int = 100, height: int = 30) -> str:
    """Points of a polyline through the known values; the range is their own."""
    known = [(place, value) for place, value in enumerate(values) if value is not None]
    if len(known) < 2:
        return ""
    low, high = min(v for _, v in known), max(v for _, v in known)
    span = (high - low) or 1.0
    step = width / (len(values) - 1)
    return " ".join(
        f"{place * step:.1f},{height - 2 - (value - low) / span * (height - 4):.1f}"
        for place, value in known
    )
