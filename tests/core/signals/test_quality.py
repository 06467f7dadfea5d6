"""Exposure, focus and likeness of real and of spoilt pictures."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from inference_core.picture import Picture, read_picture
from inference_core.signals.quality import count_differences, hash_likeness, measure_quality

IMAGES = Path(__file__).parents[2] / "samples" / "images"


@pytest.fixture
def board() -> Picture:
    return read_picture(IMAGES / "board.jpg")


def test_a_flat_picture_is_as_bright_as_it_is_and_has_no_edges() -> None:
    quality = measure_quality(np.full((480, 640, 3), 128, np.uint8))
    assert quality.luma == pytest.approx(128 / 255)
    assert quality.clipped_share == 0
    assert quality.sharpness == 0


def test_half_black_half_white_is_clipped_whole() -> None:
    picture = np.zeros((320, 320, 3), np.uint8)
    picture[160:] = 255
    quality = measure_quality(picture)
    assert quality.clipped_share == 1
    assert quality.luma == pytest.approx(0.5)


def test_blur_lowers_sharpness_and_nothing_else(board: Picture) -> None:
    sharp = measure_quality(board)
    blurred = measure_quality(cv2.GaussianBlur(board, (0, 0), 5))
    assert blurred.sharpness < sharp.sharpness / 5
    assert blurred.luma == pytest.approx(sharp.luma, abs=0.01)


def test_darkness_lowers_luma(board: Picture) -> None:
    dark = (board * 0.3).astype(np.uint8)
    assert measure_quality(dark).luma == pytest.approx(measure_quality(board).luma * 0.3, abs=0.01)


def test_sharpness_is_the_variance_of_the_laplacian() -> None:
    gray = np.random.default_rng(1).integers(0, 256, (200, 300), dtype=np.uint8)
    padded = np.pad(gray.astype(float), 1, mode="reflect")
    laplacian = (
        padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]
        - 4 * padded[1:-1, 1:-1]
    )  # fmt: skip
    quality = measure_quality(cv2.cvtColor(gray, cv2.COLOR_GRAY2BGR))
    assert quality.sharpness == pytest.approx(laplacian.var(), rel=1e-4)


@pytest.mark.parametrize("size", [(1, 1), (3, 2000), (2000, 3)])
def test_odd_pictures_are_measured_too(size: tuple[int, int]) -> None:
    assert measure_quality(np.full((*size, 3), 7, np.uint8)).luma == pytest.approx(7 / 255)
    assert hash_likeness(np.full((*size, 3), 7, np.uint8)) == 0


def test_the_same_scene_is_alike_and_another_is_not(board: Picture) -> None:
    smaller = cv2.resize(board, (320, 240), interpolation=cv2.INTER_AREA)
    brighter = np.clip(board * 1.15 + 5, 0, 255).astype(np.uint8)
    other = read_picture(IMAGES / "fruits.jpg")
    likeness = hash_likeness(board)
    assert count_differences(likeness, hash_likeness(smaller)) <= 4
    assert count_differences(likeness, hash_likeness(brighter)) <= 6
    assert count_differences(likeness, hash_likeness(other)) >= 16
