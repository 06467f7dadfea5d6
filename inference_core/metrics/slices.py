"""Any metric by slices: what a good mean hides of the evening shift."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

Item = TypeVar("Item")

MIN_SLICE_IMAGES = 8
"""Below, one picture moves a figure by more than a tenth, and the figure says nothing."""


@dataclass(frozen=True)
class SliceFigure:
    """A metric over the images of one slice."""

    value: float | None
    """None where there are too few images, or the metric cannot be said of them."""
    images: int


def measure_slices(
    items: Sequence[Item],
    slices: Sequence[Mapping[str, str]],
    metric: Callable[[Sequence[Item]], float | None],
    floor: int = MIN_SLICE_IMAGES,
) -> dict[str, SliceFigure]:
    """``metric`` of the items of each slice, by ``name=value``; one item may lie in several."""
    groups: dict[str, list[Item]] = defaultdict(list)
    for item, names in zip(items, slices, strict=True):
        for name, value in names.items():
            groups[f"{name}={value}"].append(item)
    return {
        name: SliceFigure(metric(group) if len(group) >= floor else None, len(group))
        for name, group in sorted(groups.items())
    }
