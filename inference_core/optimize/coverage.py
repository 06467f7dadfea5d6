"""How much a golden set shows: too little is refused, little is said on the certificate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from inference_core.contract.build import ParityFigures, ParityLimits
from inference_core.contract.manifest import ModelManifest
from inference_core.contract.parity import name_some, refuse_few
from inference_core.optimize.judges import Reading


def count_class_images(readings: Iterable[Reading]) -> dict[str, int]:
    """Images in whose labels each class stands; classes of no image are left out."""
    counts = Counter(label for reading in readings for label in reading.truths)
    return dict(sorted(counts.items()))


def refuse_small(readings: Sequence[Reading], limits: ParityLimits) -> str | None:
    """Why the golden set shows too little to certify anything, or None."""
    return refuse_few(len(readings), count_class_images(readings), limits)


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
            f"fewer than {limits.few_class_images} golden images show {name_some(few)}: their own "
            "figures say little"
        )
    if unseen := [name for name in _classes_of(manifest) if name not in figures.class_images]:
        warnings.append(f"no golden image shows {name_some(unseen)}: nothing is known of them")
    return tuple(warnings)


def _classes_of(manifest: ModelManifest) -> list[str]:
    """The classes that a label may name, without the background."""
    labels = getattr(manifest.decoder, "labels", None) or ()
    background = getattr(manifest.decoder, "background", None)
    return list(dict.fromkeys(one for n, one in enumerate(labels) if one and n != background))
