"""What a person may decide to be good enough: floors below which a certificate means nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from inference_core.contract.build import ParityLimits
from server.lib.errors import Invalid
from server.registry.models import VisionModel

DEFAULTS = ParityLimits()

AT_LEAST: dict[str, float] = {
    "min_metric_share": 0.9,
    "min_class_share": 0.8,
    "min_slice_share": 0.8,
    "min_agreement": 0.8,
    "min_reference_metric": 0.1,
    "min_images": DEFAULTS.min_images,
    "min_class_images": 1,
}
AT_MOST: dict[str, float] = {
    "max_score_shift": 0.2,
    "max_p95_ms": 60_000,
    "min_images": 100_000,
    "few_images": 100_000,
    "min_class_images": 100_000,
    "few_class_images": 100_000,
}
"""A score lies between 0 and 1; the others keep numbers to what can be meant."""

_WHY = "Beyond that a certificate would say nothing, so nobody may set it."
_PAIRS = (("few_images", "min_images"), ("few_class_images", "min_class_images"))


@dataclass(frozen=True)
class Difference:
    """One limit that is not the same on two sides; None is no limit."""

    name: str
    old: float | None
    new: float | None


def in_full(limits: ParityLimits) -> dict[str, Any]:
    """Every limit by name, defaults too: what was decided must not move with a later default."""
    return {name: getattr(limits, name) for name in ParityLimits.model_fields}


def differences(old: ParityLimits, new: ParityLimits) -> list[Difference]:
    """The limits that differ, in the order of their definition."""
    before, after = in_full(old), in_full(new)
    pairs = (Difference(name, before[name], after[name]) for name in before)
    return [pair for pair in pairs if pair.old != pair.new]


def require_meaningful(limits: ParityLimits) -> None:
    """Invalid, with an entry in ``errors`` for each, where limits are nonsense or below a floor."""
    values = in_full(limits)
    found = list(_out_of_bounds(values)) or list(_upside_down(values))
    errors = [{"path": name, "detail": why} for name, why in found]
    if errors:
        raise Invalid(f"{errors[0]['path']}: {errors[0]['detail']}", errors=errors)


def warnings_of(model: VisionModel, limits: ParityLimits) -> list[str]:
    """What such limits would do to this model that its author may not have meant."""
    images, least = model.golden.image_count, limits.min_images
    told = f"{model.golden} has {images} images and min_images is {least}: every build is refused."
    return [told] if images < least else []


def _out_of_bounds(values: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if value is not None and value < AT_LEAST.get(name, value):
            yield name, f"it may not be below {AT_LEAST[name]:g}. {_WHY}"
        if value is not None and value > AT_MOST.get(name, value):
            yield name, f"it may not be above {AT_MOST[name]:g}. {_WHY}"


def _upside_down(values: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for few, least in _PAIRS:
        if values[few] < values[least]:
            yield few, f"{values[few]} is less than {least}, {values[least]}: it would never warn."
