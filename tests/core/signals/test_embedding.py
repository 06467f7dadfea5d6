"""The map of pictures: whitened, kernel-true, the same everywhere, and it tells heaps apart."""

from __future__ import annotations

import base64
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from inference_core.contract.signals import EmbeddingBlock
from inference_core.errors import BadInput
from inference_core.picture import read_picture
from inference_core.signals.embedding import (
    BlockMean,
    EmbeddingMap,
    fit_map,
    make_thumbnail,
    read_mean,
)

IMAGES = Path(__file__).parents[2] / "samples" / "images"
NOON = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)


def heap(seed: int, count: int = 400, shift: float = 0.0) -> NDArray[np.float32]:
    """Features that live in 40 of 100 dimensions."""
    random = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(40, 100))
    return ((random.normal(size=(count, 40)) + shift) @ mixing).astype(np.float32)


def collect(found: EmbeddingMap, features: NDArray[np.float32]) -> list[EmbeddingBlock]:
    mean = BlockMean(found)
    blocks = [
        mean.add(row, NOON + timedelta(seconds=number)) for number, row in enumerate(features)
    ]
    return [block for block in [*blocks, mean.flush()] if block is not None]


def test_the_components_are_white_on_the_reference() -> None:
    reference = heap(1)
    found = fit_map(reference)
    white = (reference - found.mean) @ found.components
    np.testing.assert_allclose(np.cov(white.T), np.eye(32), atol=1e-3)


def test_products_of_embeddings_are_the_gaussian_kernel() -> None:
    reference = heap(1)
    found = fit_map(reference)
    white = (reference[:60] - found.mean) @ found.components
    squares = ((white[:, None] - white[None]) ** 2).sum(axis=2)
    width = 1 / found.frequencies.std()
    exact = np.exp(-squares / (2 * width**2))
    embedded = np.array([found.embed(row) for row in reference[:60]])
    # 256 frequencies: the standard error of a product is at most 1 / sqrt(2 * 256).
    assert np.abs(embedded @ embedded.T - exact).max() < 5 / np.sqrt(512)
    np.testing.assert_allclose((embedded**2).sum(axis=1), 1, rtol=1e-5)


def test_a_heap_that_moved_lies_farther_than_a_heap_that_did_not() -> None:
    found = fit_map(heap(1))

    def distance(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
        means = [np.mean([read_mean(b) for b in collect(found, h)], axis=0) for h in (one, other)]
        return float(np.linalg.norm(means[0] - means[1]))

    same = distance(heap(2), heap(3))
    moved = distance(heap(2), heap(4, shift=0.5))
    assert moved > 3 * same


def test_blocks_hold_32_frames_and_the_rest_is_flushed() -> None:
    found = fit_map(heap(1))
    blocks = collect(found, heap(2, count=70))
    assert [block.frames for block in blocks] == [32, 32, 6]
    assert blocks[1].started_at == NOON + timedelta(seconds=32)
    assert len(base64.b64decode(blocks[0].mean)) == 1024
    expected = np.mean([found.embed(row) for row in heap(2, count=70)[:32]], axis=0)
    np.testing.assert_allclose(read_mean(blocks[0]), expected, atol=1e-3)


def test_the_map_is_the_same_after_a_journey(tmp_path: Path) -> None:
    found = fit_map(heap(1))
    path = tmp_path / "map.npz"
    path.write_bytes(found.to_bytes())
    arrived = EmbeddingMap.read(path)
    assert arrived.sha256 == found.sha256 == fit_map(heap(1)).sha256
    assert fit_map(heap(1), seed=1).sha256 != found.sha256


def test_thumbnails_of_real_pictures_can_be_mapped() -> None:
    pictures = [read_picture(path) for path in sorted(IMAGES.glob("*.jpg"))]
    thumbnails = np.array([make_thumbnail(picture) for picture in pictures])
    found = fit_map(thumbnails)
    assert found.components.shape == (768, len(pictures) - 1)
    assert np.isfinite(found.embed(thumbnails[0])).all()


@pytest.mark.parametrize(
    "features",
    [np.ones((5, 8)), np.ones((1, 8)), np.ones(8), np.full((4, 8), np.nan)],
    ids=["all the same", "one row", "no table", "not finite"],
)
def test_what_cannot_be_fitted_is_refused(features: NDArray[np.float64]) -> None:
    with pytest.raises(BadInput):
        fit_map(features.astype(np.float32))


@pytest.mark.parametrize("spoil", ["cut", "foreign", "mixed"])
def test_a_broken_map_is_refused(tmp_path: Path, spoil: str) -> None:
    found = fit_map(heap(1))
    path = tmp_path / "map.npz"
    data = found.to_bytes()
    if spoil == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif spoil == "foreign":
        path.write_bytes(b"no archive at all")
    else:
        path.write_bytes(
            EmbeddingMap(found.mean[:-1], found.components, found.frequencies).to_bytes()
        )
    with pytest.raises(BadInput, match="map"):
        EmbeddingMap.read(path)


def test_features_of_another_length_are_refused() -> None:
    with pytest.raises(BadInput, match="100 features"):
        fit_map(heap(1)).embed(np.zeros(7, np.float32))
