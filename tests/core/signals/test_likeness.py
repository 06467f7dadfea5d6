"""The perceptual hash against an implementation that is not ours."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from inference_core.picture import read_picture
from inference_core.signals.quality import count_differences, hash_likeness

IMAGES = Path(__file__).resolve().parents[2] / "samples" / "images"
GOLDEN = json.loads(
    Path(__file__).with_name("likeness_golden").joinpath("likeness.json").read_text()
)


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_a_hash_is_that_of_a_difference_hash_over_mean_cells(name: str) -> None:
    """Up to two cells that are as bright as their neighbour, and rounded to the other side."""
    ours = hash_likeness(read_picture(IMAGES / name))
    assert count_differences(ours, int(GOLDEN[name]["area"], 16)) <= 2


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_a_picture_is_nearest_to_itself_by_imagehash(name: str) -> None:
    ours = hash_likeness(read_picture(IMAGES / name))
    distances = {
        other: count_differences(ours, int(golden["imagehash"], 16))
        for other, golden in GOLDEN.items()
    }
    assert min(distances, key=distances.__getitem__) == name
    assert distances[name] <= 10
