"""What the labels of a dataset say, counted."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.core.cache import cache

from server.datasets.models import DatasetVersion
from server.lib import blobs
from server.lib.errors import Unavailable

MAX_COUNTED_BYTES = 8 * 1024 * 1024
"""Labels that are longer are not counted while somebody waits for a page."""

_KINDS = {"mask": "masks", "text": "texts", "text_boxes": "places of text"}


@dataclass(frozen=True)
class LabelCounts:
    """Labels by class, the most frequent first; images by what else they have; images with none.

    A mask names no class of its own: which number is which is a matter of a model's manifest.
    """

    classes: Mapping[str, int]
    kinds: Mapping[str, int]
    unlabelled: int


def count_labels(dataset: DatasetVersion) -> LabelCounts | None:
    """What ``labels.jsonl`` says; None where it is too long to be counted now, or out of reach.

    A version never changes, so it is counted once and kept in the cache.
    """
    key = f"datasets:labels:{dataset.labels_sha256}"
    known = cache.get(key)
    if known is None:
        try:
            known = _count(dataset.labels_sha256)
        except Unavailable:
            return None
        cache.set(key, known, None)
    return LabelCounts(**known) if known else None


def _count(sha256: str) -> dict[str, Any]:
    """As plain values, which every cache can hold; empty for labels that are too long."""
    with blobs.open_blob(sha256) as file:
        content = file.read(MAX_COUNTED_BYTES + 1)
    if len(content) > MAX_COUNTED_BYTES:
        return {}
    classes: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    unlabelled = 0
    for text in content.splitlines():
        line = json.loads(text)
        found = list(_classes(line))
        has = [words for name, words in _KINDS.items() if line.get(name) is not None]
        classes.update(found)
        kinds.update(has)
        # Boxes that are there and empty say: nothing is to be found.
        unlabelled += not (found or has or line.get("boxes") is not None)
    return {
        "classes": dict(classes.most_common()),
        "kinds": dict(kinds),
        "unlabelled": unlabelled,
    }


def _classes(line: Mapping[str, Any]) -> Iterator[str]:
    if line.get("label") is not None:
        yield str(line["label"])
    if line.get("verdict") is not None:
        yield f"verdict {line['verdict']}"
    for box in line.get("boxes") or ():
        yield str(box["label"])
