"""How much a golden set shows: too little is refused, little is said on the certificate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from inference_core.contract.build import ParityFigures, ParityLimits
from inference_core.contract.manifest import ModelManifest
from inference_core.optimize.judges import Reading

_MAX_NAMED = 5


def count_class_images(readings: Iterable[Reading]) -> dict[str, int]:
    """Images in whose labels each class stands; classes of no image are left out."""
    counts = Counter(label for reading in readings for label in reading.truths)
    return dict(sorted(counts.items()))


def refuse_small(readings: Sequence[Reading], limits: ParityLimits) -> str | None:
    """Why the golden set shows too little to certify anything, or None."""
    images, class_images = len(readings), count_class_images(readings)
    if images < limits.min_images:
        return (
            f"the golden set has {images} images; below {limits.min_images} no figure means "
            "anything: add labelled images"
        )
    short = [f"{name} ({n})" for name, n in class_images.items() if n < limits.min_class_images]
    if short:
        return (
            f"too few golden images show {_name(short)}; at least {limits.min_class_images} are "
            "asked of each class: add labelled images"
        )
    return None


def warn_small(
    figures: ParityFigures, manifest: ModelManifest, limits: ParityLimits
) -> tuple[str, ...]:
    """What the figures do not show for want of images, a sentence each."""
    warnings = []
    if figures.images < limits.few_images:
        warnings.append(
            f"{figures.images} golden images say little of a mean; {limits.few_images} or more do"
        )
    few = [f"{k} ({n})" for k, n in figures.class_images.items() if n < limits.few_class_images]
    if few:
        warnings.append(
            f"fewer than {limits.few_class_images} golden images show {_name(few)}: their own "
            "figures say little"
        )
    if unseen := [name for name in _classes_of(manifest) if name not in figures.class_images]:
        warnings.append(f"no golden image shows {_name(unseen)}: nothing is known of them")
    return tuple(warnings)


def _classes_of(manifest: ModelManifest) -> list[str]:
    """The classes that a label may name, without the background."""
    labels = getattr(manifest.decoder, "labels", None) or ()
    background = getattr(manifest.decoder, "background", None)
    return list(dict.fromkeys(one for n, one in enumerate(labels) if one and n != background))


def _name(words: list[str]) -> str:
    rest = len(words) - _MAX_NAMED
    return ", ".join(words[:_MAX_NAMED]) + (f" and {rest} more" if rest > 0 else "")
