"""A dataset as a folder: one line of ``labels.jsonl`` an image, and the digest that pins it all."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, StringConstraints

from inference_core.contract.base import Message, Slug, added
from inference_core.contract.words import VerdictWord

LABELS_FILE = "labels.jsonl"
MAX_IMAGES = 100_000
MAX_LABELS_BYTES = 64 * 1024 * 1024

RelativePath = Annotated[
    str,
    StringConstraints(
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$", max_length=300
    ),
]
"""A path inside the folder: no parent, no absolute path, no hidden name, no surprise in a shell."""


class BoxLabel(Message):
    """A labelled object; pixels of the image, continuous: the first pixel spans 0 to 1."""

    label: Annotated[str, Field(min_length=1, max_length=100)]
    xyxy: tuple[float, float, float, float]


class TextBoxLabel(Message):
    """A labelled place of text; ``text`` None is not known."""

    polygon: tuple[tuple[float, float], ...] = Field(min_length=3, max_length=100)
    text: str | None = Field(default=None, max_length=1000)


class LabelLine(Message):
    """What is known of one image; absent is unknown. An empty ``text`` says: none to read."""

    image: RelativePath
    mask: RelativePath | None = Field(default=None, description="PNG of class indices.")
    text: str | None = Field(default=None, max_length=1000)
    verdict: VerdictWord | None = None
    label: str | None = Field(default=None, max_length=100, description="Class of the picture.")
    boxes: tuple[BoxLabel, ...] | None = Field(default=None, max_length=10_000)
    text_boxes: tuple[TextBoxLabel, ...] | None = Field(default=None, max_length=10_000)
    slices: dict[Slug, Slug] = added(
        {},
        max_length=20,
        description='What figures are also told apart by, for example {"light": "evening"}.',
    )


def dataset_sha256(sha256_of_file: Mapping[str, str]) -> str:
    """Digest of a dataset: SHA-256 over the lines of ``sha256sum`` of its files, sorted by path.

    The files are ``labels.jsonl`` and all that it names. Anyone can repeat it with coreutils:
    ``LC_ALL=C sha256sum <files in order> | sha256sum``.
    """
    lines = (f"{sha256_of_file[path]}  {path}\n" for path in sorted(sha256_of_file))
    return hashlib.sha256("".join(lines).encode()).hexdigest()
