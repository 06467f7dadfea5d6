"""A dataset as a folder: one line of ``labels.jsonl`` an image, and the digest that pins it all."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, StringConstraints

from inference_core.contract.base import Message
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


class LabelLine(Message):
    """What is known of one image; absent is unknown. An empty ``text`` says: none to read."""

    image: RelativePath
    mask: RelativePath | None = Field(default=None, description="PNG of class indices.")
    text: str | None = Field(default=None, max_length=1000)
    verdict: VerdictWord | None = None


def dataset_sha256(sha256_of_file: Mapping[str, str]) -> str:
    """Digest of a dataset: SHA-256 over the lines of ``sha256sum`` of its files, sorted by path.

    The files are ``labels.jsonl`` and all that it names. Anyone can repeat it with coreutils:
    ``LC_ALL=C sha256sum <files in order> | sha256sum``.
    """
    lines = (f"{sha256_of_file[path]}  {path}\n" for path in sorted(sha256_of_file))
    return hashlib.sha256("".join(lines).encode()).hexdigest()
