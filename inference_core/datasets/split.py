"""Divides a set by the bytes of its pictures, so that no picture ever changes sides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from inference_core.datasets.labelled import LabelledSet
from inference_core.datasets.problem import DatasetError

_DIGITS = 16


def split_set(labelled: LabelledSet, shares: Mapping[str, float]) -> LabelledSet:
    """The set with every image in one of the named subsets.

    Where an image goes depends on nothing but its SHA-256 and the shares: images that are added
    later move none, and equal bytes stay together. Sizes come near the shares by chance alone,
    and classes are not balanced: a rare class may miss a subset. The same picture saved anew has
    other bytes and may land on the other side.
    """
    if len(shares) < 2 or min(shares.values()) <= 0 or abs(sum(shares.values()) - 1) > 1e-6:
        raise DatasetError("give two or more subsets whose shares are above 0 and add up to 1")
    images = (replace(one, subset=choose_subset(one.sha256, shares)) for one in labelled.images)
    return replace(labelled, images=tuple(images))


def choose_subset(sha256: str, shares: Mapping[str, float]) -> str:
    """The subset in whose part of 0…1 the digest's first 64 bits fall."""
    place = int(sha256[:_DIGITS], 16) / 16**_DIGITS
    end = 0.0
    for name, share in shares.items():
        end += share
        if place < end:
            return name
    return list(shares)[-1]
