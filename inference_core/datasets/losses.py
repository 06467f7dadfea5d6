"""What a format cannot hold is told, with counts, and never dropped in silence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from inference_core.datasets.labelled import LabelledImage, LabelledSet, bound
from inference_core.datasets.problem import DatasetError, Notes

Feature = Literal[
    "outlines",
    "several_rings",
    "own_boxes",
    "fractions",
    "difficult",
    "truncated",
    "crowd",
    "label",
    "text",
    "text_boxes",
    "mask",
    "verdict",
    "slices",
    "subset",
]

_ROUNDING_PX = 1e-6


def tell_losses(labelled: LabelledSet, holds: frozenset[Feature], notes: Notes) -> None:
    """Notes everything in the set that a format with the features ``holds`` leaves behind."""
    for feature, (words, count) in _FEATURES.items():
        if feature not in holds:
            for image in labelled.images:
                notes.tell(words, image.name, count(image))


def tell_unused_labels(labelled: LabelledSet, notes: Notes) -> None:
    """For formats without a list of classes."""
    used = {one.label for image in labelled.images for one in image.known_objects}
    for label in labelled.labels:
        if label not in used:
            notes.tell("classes without an object were left out", label)


def leave_out_unknown(labelled: LabelledSet, notes: Notes) -> LabelledSet:
    """For formats where an image without objects is an image that was looked at and is empty."""
    known = tuple(image for image in labelled.images if image.objects is not None)
    for image in labelled.images:
        if image.objects is None:
            notes.tell("images whose objects are unknown were left out", image.name)
    if labelled.images and not known:
        raise DatasetError("the objects of no image are known, so there is nothing to write")
    return replace(labelled, images=known)


def _count_own_boxes(image: LabelledImage) -> int:
    """Boxes that say more than the bounds of their outline."""
    return sum(
        any(
            abs(ours - bounds) > _ROUNDING_PX
            for ours, bounds in zip(one.xyxy, bound(one.rings), strict=True)
        )
        for one in image.known_objects
        if one.rings
    )


def _count_fractions(image: LabelledImage) -> int:
    return sum(
        any(abs(side - round(side)) > _ROUNDING_PX for side in one.xyxy)
        for one in image.known_objects
    )


_FEATURES: dict[Feature, tuple[str, Callable[[LabelledImage], int]]] = {
    "outlines": (
        "outlines were left out, their boxes kept",
        lambda image: sum(bool(one.rings) for one in image.known_objects),
    ),
    "several_rings": (
        "outlines in several parts were cut to the largest part",
        lambda image: sum(len(one.rings) > 1 for one in image.known_objects),
    ),
    "own_boxes": ("boxes were set to the bounds of their outlines", _count_own_boxes),
    "fractions": ("boxes were rounded to whole pixels", _count_fractions),
    "difficult": (
        "marks of difficult objects were left out",
        lambda image: sum(one.difficult for one in image.known_objects),
    ),
    "truncated": (
        "marks of truncated objects were left out",
        lambda image: sum(one.truncated for one in image.known_objects),
    ),
    "crowd": (
        "marks of crowds were left out",
        lambda image: sum(one.crowd for one in image.known_objects),
    ),
    "label": ("classes of pictures were left out", lambda image: image.label is not None),
    "text": ("texts were left out", lambda image: image.text is not None),
    "text_boxes": (
        "places of text were left out",
        lambda image: len(image.text_boxes or ()),
    ),
    "mask": ("masks were left out", lambda image: image.mask is not None),
    "verdict": ("verdicts were left out", lambda image: image.verdict is not None),
    "slices": ("names of slices were left out", lambda image: len(image.slices)),
    "subset": (
        "images lost the name of their subset",
        lambda image: bool(image.subset),
    ),
}
