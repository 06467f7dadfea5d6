"""What decoders find: arrays with the field's names, checked at birth, in frame pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference_core.contract.results import (
    BoxResult,
    ClassResult,
    RegionResult,
    TextBoxResult,
    TextLineResult,
)

Floats = NDArray[np.float64]

StageFields = dict[str, Any]
"""Fields of a ``StageResult`` by name."""


@dataclass(frozen=True)
class Regions:
    """N connected regions of a segmentation, largest first."""

    labels: tuple[str, ...]
    """Names of the classes; ``class_id`` points into them."""
    class_id: NDArray[np.int64]
    score: Floats
    """Mean probability over the region."""
    xyxy: Floats
    area_px: Floats
    length_px: Floats
    """Longer side of the tight, rotated box."""
    polygons: tuple[Floats, ...]

    def __post_init__(self) -> None:
        count = len(self.class_id)
        _check("class_id", self.class_id, (count,))
        _check("score", self.score, (count,))
        _check("xyxy", self.xyxy, (count, 4))
        _check("area_px", self.area_px, (count,))
        _check("length_px", self.length_px, (count,))
        _check_polygons(self.polygons, count)
        _check_classes(self.class_id, self.labels)

    def __len__(self) -> int:
        return len(self.class_id)

    def to_fields(self, mm_per_px: float | None = None) -> StageFields:
        """The regions as messages; millimetres only where the camera's scale is known."""
        return {"regions": tuple(self._region(index, mm_per_px) for index in range(len(self)))}

    def _region(self, index: int, mm_per_px: float | None) -> RegionResult:
        area, length = float(self.area_px[index]), float(self.length_px[index])
        x0, y0, x1, y1 = self.xyxy[index].tolist()
        return RegionResult(
            label=self.labels[self.class_id[index]],
            score=float(self.score[index]),
            xyxy=(x0, y0, x1, y1),
            polygon=_points(self.polygons[index]),
            area_px=area,
            area_mm2=None if mm_per_px is None else area * mm_per_px**2,
            length_mm=None if mm_per_px is None else length * mm_per_px,
        )


@dataclass(frozen=True)
class TextLines:
    """N lines of text."""

    text: tuple[str, ...]
    score: Floats
    """Mean probability of the characters; 0 where nothing was read."""
    polygons: tuple[Floats, ...]

    def __post_init__(self) -> None:
        _check("score", self.score, (len(self.text),))
        _check_polygons(self.polygons, len(self.text))

    def __len__(self) -> int:
        return len(self.text)

    def to_fields(self, mm_per_px: float | None = None) -> StageFields:
        """The lines as messages."""
        del mm_per_px
        lines = zip(self.text, self.score, self.polygons, strict=True)
        return {
            "lines": tuple(
                TextLineResult(text=text, score=float(score), polygon=_points(polygon))
                for text, score, polygon in lines
            )
        }


@dataclass(frozen=True)
class Boxes:
    """N objects of a detector, highest score first."""

    labels: tuple[str, ...]
    """Names of the classes; ``class_id`` points into them."""
    class_id: NDArray[np.int64]
    score: Floats
    xyxy: Floats

    def __post_init__(self) -> None:
        count = len(self.class_id)
        _check("class_id", self.class_id, (count,))
        _check("score", self.score, (count,))
        _check("xyxy", self.xyxy, (count, 4))
        _check_classes(self.class_id, self.labels)
        _check_probabilities(self.score)

    def __len__(self) -> int:
        return len(self.class_id)

    def to_fields(self, mm_per_px: float | None = None) -> StageFields:
        """The boxes as messages."""
        del mm_per_px
        rows = zip(
            self.class_id.tolist(), self.score.tolist(), self.xyxy.round(2).tolist(), strict=True
        )
        return {
            "boxes": tuple(
                BoxResult(label=self.labels[name], class_id=name, score=score, xyxy=tuple(xyxy))
                for name, score, xyxy in rows
            )
        }


@dataclass(frozen=True)
class Classes:
    """N classes of the whole picture, the likeliest first."""

    labels: tuple[str, ...]
    class_id: NDArray[np.int64]
    score: Floats

    def __post_init__(self) -> None:
        _check("class_id", self.class_id, (len(self.class_id),))
        _check("score", self.score, (len(self.class_id),))
        _check_classes(self.class_id, self.labels)
        _check_probabilities(self.score)

    def __len__(self) -> int:
        return len(self.class_id)

    def to_fields(self, mm_per_px: float | None = None) -> StageFields:
        """The classes as messages."""
        del mm_per_px
        rows = zip(self.class_id.tolist(), self.score.tolist(), strict=True)
        return {
            "classes": tuple(
                ClassResult(label=self.labels[name], class_id=name, score=score)
                for name, score in rows
            )
        }


@dataclass(frozen=True)
class TextBoxes:
    """N places where text stands, in reading order."""

    score: Floats
    polygons: tuple[Floats, ...]
    """4×2 each, clockwise from the top left."""

    def __post_init__(self) -> None:
        _check("score", self.score, (len(self.polygons),))
        _check_polygons(self.polygons, len(self.polygons))

    def __len__(self) -> int:
        return len(self.polygons)

    def to_fields(self, mm_per_px: float | None = None) -> StageFields:
        """The boxes as messages."""
        del mm_per_px
        return {
            "text_boxes": tuple(
                TextBoxResult(score=float(score), polygon=_points(polygon))
                for score, polygon in zip(self.score, self.polygons, strict=True)
            )
        }


@dataclass(frozen=True)
class Anomaly:
    """How unlike the good parts a picture is, and where."""

    score: float
    """Of the picture, 0 to 1."""
    regions: Regions

    def __post_init__(self) -> None:
        _check("score", np.array(self.score), ())
        _check_probabilities(np.array(self.score))

    def __len__(self) -> int:
        return len(self.regions)

    def to_fields(self, mm_per_px: float | None = None) -> StageFields:
        """Score and regions as messages."""
        return {"anomaly_score": self.score, **self.regions.to_fields(mm_per_px)}


Found = Regions | TextLines | Boxes | Classes | TextBoxes | Anomaly


def _check(name: str, array: NDArray[np.generic], shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise ValueError(f"{name} has the shape {array.shape}, not {shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds NaN or infinity")


def _check_classes(class_id: NDArray[np.int64], labels: tuple[str, ...]) -> None:
    if len(class_id) and not 0 <= class_id.min() <= class_id.max() < len(labels):
        raise ValueError(f"class_id points outside the {len(labels)} labels")


def _check_probabilities(score: Floats) -> None:
    if score.size and not 0 <= score.min() <= score.max() <= 1:
        raise ValueError(f"score reaches from {score.min()} to {score.max()}, not from 0 to 1")


def _check_polygons(polygons: tuple[Floats, ...], count: int) -> None:
    if len(polygons) != count:
        raise ValueError(f"{len(polygons)} polygons for {count} results")
    for polygon in polygons:
        _check("polygon", polygon, (len(polygon), 2))


def _points(polygon: Floats) -> tuple[tuple[float, float], ...]:
    return tuple((round(x, 2), round(y, 2)) for x, y in polygon.tolist())
