"""A picture as a place on a map, so that two heaps of pictures can be told apart without labels.

Feature vector → 32 whitened principal components → 256 random Fourier frequencies. The distance
between the means of two heaps estimates their maximum mean discrepancy under a Gaussian kernel
(Rahimi & Recht, NIPS 2007; Gretton et al., JMLR 2012).
"""

from __future__ import annotations

import base64
import hashlib
import io
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from zipfile import BadZipFile

import cv2
import numpy as np
from numpy.typing import NDArray

from inference_core.contract.signals import (
    EMBEDDING_LENGTH,
    FRAMES_IN_BLOCK,
    EmbeddingBlock,
)
from inference_core.errors import BadInput
from inference_core.picture import Picture

COMPONENTS = 32
_FREQUENCIES = EMBEDDING_LENGTH // 2
_THUMBNAIL_PX = 16
_MAX_MAP_BYTES = 64 * 1024 * 1024
_LEAST_VARIANCE = 1e-6

Vector = NDArray[np.float32]


def make_thumbnail(picture: Picture) -> Vector:
    """16×16×3 pixels from 0 to 1 as 768 numbers: the features where a model offers none."""
    size = (_THUMBNAIL_PX, _THUMBNAIL_PX)
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return np.asarray(small, dtype=np.float32).ravel() / np.float32(255)


@dataclass(frozen=True)
class EmbeddingMap:
    """Fitted once on the reference pictures of a model, and then the same on every device."""

    mean: Vector
    """D numbers."""
    components: NDArray[np.float32]
    """D×C, scaled so that the reference has unit variance along each; C is at most 32."""
    frequencies: NDArray[np.float32]
    """C×256, drawn from a Gaussian whose width follows from the reference."""

    def embed(self, features: Vector) -> Vector:
        """512 numbers: cosines, then sines, with a squared length of 1."""
        if features.shape != self.mean.shape:
            raise BadInput(f"the map takes {self.mean.size} features, not {features.shape}")
        angles = (features - self.mean) @ self.components @ self.frequencies
        waves = np.concatenate([np.cos(angles), np.sin(angles)])
        return np.asarray(waves / np.sqrt(_FREQUENCIES), dtype=np.float32)

    @cached_property
    def sha256(self) -> str:
        """Names the map by its numbers: only embeddings of one map compare."""
        digest = hashlib.sha256()
        for part in (self.mean, self.components, self.frequencies):
            digest.update(repr(part.shape).encode())
            digest.update(np.ascontiguousarray(part, dtype="<f4").tobytes())
        return digest.hexdigest()

    def to_bytes(self) -> bytes:
        """An ``.npz`` without pickled objects."""
        buffer = io.BytesIO()
        np.savez(buffer, mean=self.mean, components=self.components, frequencies=self.frequencies)
        return buffer.getvalue()

    @classmethod
    def read(cls, path: Path) -> EmbeddingMap:
        """The map in a file. Raises ``BadInput`` for anything else."""
        try:
            if path.stat().st_size > _MAX_MAP_BYTES:
                raise BadInput(f"{path.name} is larger than {_MAX_MAP_BYTES} bytes")
            with np.load(path, allow_pickle=False) as parts:
                names = ("mean", "components", "frequencies")
                found = cls(*(np.asarray(parts[name], dtype=np.float32) for name in names))
        except (OSError, ValueError, TypeError, KeyError, EOFError, BadZipFile) as error:
            raise BadInput(f"{path.name} is no embedding map: {error}") from error
        found.check()
        return found

    def check(self) -> None:
        """Raises ``BadInput`` where the parts do not fit each other or are not finite."""
        inner = (self.components.ndim, self.frequencies.ndim) == (2, 2) and (
            self.components.shape[0] == self.mean.size
            and self.components.shape[1] == self.frequencies.shape[0]
            and self.frequencies.shape[1] == _FREQUENCIES
        )
        if not inner or not all(map(_is_finite, (self.mean, self.components, self.frequencies))):
            raise BadInput("the parts of the embedding map do not fit each other")


def fit_map(features: NDArray[np.float32], seed: int = 0) -> EmbeddingMap:
    """The map of N×D reference features, N at least 2; the same seed gives the same map.

    The kernel's width is the median distance between reference pictures (Gretton et al. 2012).
    """
    if features.ndim != 2 or len(features) < 2 or not _is_finite(features):
        raise BadInput("a map is fitted on at least two rows of finite features")
    mean = features.mean(axis=0)
    _, lengths, axes = np.linalg.svd(features - mean, full_matrices=False)
    deviations = lengths / np.sqrt(len(features) - 1)
    kept = min(COMPONENTS, int(np.count_nonzero(deviations**2 > _LEAST_VARIANCE)))
    if not kept:
        raise BadInput("the reference pictures are all the same")
    components = axes[:kept].T / deviations[:kept]
    width = _median_distance((features - mean) @ components)
    frequencies = np.random.default_rng(seed).normal(0, 1 / width, (kept, _FREQUENCIES))
    return EmbeddingMap(
        mean.astype(np.float32), components.astype(np.float32), frequencies.astype(np.float32)
    )


class BlockMean:
    """Collects embeddings of one camera; every 32 make a block."""

    def __init__(self, embedding_map: EmbeddingMap) -> None:
        self._map = embedding_map
        self._sum = np.zeros(EMBEDDING_LENGTH, dtype=np.float64)
        self._frames = 0
        self._started_at: datetime | None = None

    def add(self, features: Vector, captured_at: datetime) -> EmbeddingBlock | None:
        """The block that this frame completes, or None."""
        self._started_at = self._started_at or captured_at
        self._sum += self._map.embed(features)
        self._frames += 1
        return self.flush() if self._frames == FRAMES_IN_BLOCK else None

    def flush(self) -> EmbeddingBlock | None:
        """What was collected so far as a block, for the end of an hour; None of nothing."""
        if self._started_at is None:
            return None
        mean = (self._sum / self._frames).astype("<f2")
        block = EmbeddingBlock(
            map_sha256=self._map.sha256,
            started_at=self._started_at,
            frames=self._frames,
            mean=base64.b64encode(mean.tobytes()).decode(),
        )
        self._sum[:] = 0
        self._frames, self._started_at = 0, None
        return block


def read_mean(block: EmbeddingBlock) -> Vector:
    """The 512 numbers of a block."""
    return np.frombuffer(base64.b64decode(block.mean), dtype="<f2").astype(np.float32)


def _median_distance(points: NDArray[np.float32]) -> float:
    some = points[:: max(len(points) // 500, 1)].astype(np.float64)
    squares = (some**2).sum(axis=1)
    distances = squares[:, None] + squares[None] - 2 * some @ some.T
    upper = distances[np.triu_indices(len(some), k=1)]
    return float(np.sqrt(max(np.median(upper), _LEAST_VARIANCE)))


def _is_finite(array: NDArray[np.float32]) -> bool:
    return bool(np.isfinite(array).all())
