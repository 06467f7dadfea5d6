"""Labelled images as every format can be read into: what is known, and nothing of how it lies."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from inference_core.contract.dataset import MAX_IMAGES, BoxLabel, TextBoxLabel
from inference_core.contract.words import VerdictWord
from inference_core.datasets.problem import DatasetError

Xyxy = tuple[float, float, float, float]
Ring = tuple[tuple[float, float], ...]
"""A closed polygon; its last point is not its first."""

MAX_OBJECTS = 10_000
"""Of one image: more is a mistake of a tool, not a labelled picture."""
MAX_LABEL_CHARACTERS = 100


@dataclass(frozen=True)
class LabelledObject:
    """One object in pixels of its image, continuous: the first pixel spans 0 to 1."""

    label: str
    xyxy: Xyxy
    rings: tuple[Ring, ...] = ()
    """The outline, as the union of these polygons; empty where only the box is known."""
    difficult: bool = False
    truncated: bool = False
    crowd: bool = False
    """Stands for many objects that nobody told apart."""


@dataclass(frozen=True)
class LabelledImage:
    """What is known of one image; None is unknown, an empty tuple says that nothing is there."""

    name: str
    """A relative path with ``/``, unique in its subset."""
    path: Path
    """Where the bytes lie now."""
    sha256: str
    width: int
    height: int
    subset: str = ""
    """For example train, valid or test; empty where the set has no parts."""
    objects: tuple[LabelledObject, ...] | None = None
    label: str | None = None
    text: str | None = None
    text_boxes: tuple[TextBoxLabel, ...] | None = None
    mask: Path | None = None
    verdict: VerdictWord | None = None
    slices: dict[str, str] = field(default_factory=dict)

    @property
    def known_objects(self) -> tuple[LabelledObject, ...]:
        """The objects; none where they are unknown."""
        return self.objects or ()

    @property
    def boxes(self) -> tuple[BoxLabel, ...] | None:
        """The objects as the contract writes them."""
        if self.objects is None:
            return None
        return tuple(BoxLabel(label=one.label, xyxy=one.xyxy) for one in self.objects)


@dataclass(frozen=True)
class LabelledSet:
    """Images and the classes of their objects, in the order of the classes' numbers."""

    labels: tuple[str, ...]
    images: tuple[LabelledImage, ...]

    def __post_init__(self) -> None:
        if len(self.images) > MAX_IMAGES:
            raise DatasetError(f"the set has {len(self.images)} images, more than {MAX_IMAGES}")
        if repeated := _find_repeated(self.labels):
            raise DatasetError(f"the class {repeated!r} is declared twice")
        if repeated := _find_repeated(f"{image.subset}/{image.name}" for image in self.images):
            raise DatasetError(f"the image {repeated.removeprefix('/')} is named a second time")


def collect_labels(images: Iterable[LabelledImage]) -> tuple[str, ...]:
    """The classes in use, sorted, for a format that declares none."""
    return tuple(sorted({one.label for image in images for one in image.known_objects}))


def bound(rings: Iterable[Ring]) -> Xyxy:
    """The smallest box around all points."""
    points = [point for ring in rings for point in ring]
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return min(xs), min(ys), max(xs), max(ys)


def check_label(text: str, where: str) -> str:
    """A class name without the blanks around it; ``DatasetError`` where no person could read it."""
    label = text.strip()
    if not label or len(label) > MAX_LABEL_CHARACTERS or not label.isprintable():
        raise DatasetError(
            f"{where}: {label[:40]!r} is no class name: give 1 to {MAX_LABEL_CHARACTERS} "
            "printable characters"
        )
    return label


def _find_repeated(names: Iterable[str]) -> str | None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None
