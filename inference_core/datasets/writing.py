"""What every writer shares: pictures copied under names that do not collide."""

from __future__ import annotations

import re
import shutil
from pathlib import Path, PurePosixPath

from inference_core.datasets.labelled import LabelledImage
from inference_core.datasets.problem import DatasetError, Notes

_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")


class Pictures:
    """Copies the pictures of a set below one folder.

    Label files are named after their picture without its suffix, so ``a.jpg`` and ``a.png`` may
    not lie side by side; the later one gets a number.
    """

    def __init__(self, root: Path, notes: Notes) -> None:
        self._root = root
        self._notes = notes
        self._taken: set[str] = set()

    def copy(self, image: LabelledImage, folder: str = "", *, name: str | None = None) -> str:
        """Copies one picture into ``folder`` and returns its name there."""
        placed = self._make_unique(name or image.name, folder)
        if placed != image.name:
            self._notes.tell("pictures were renamed", f"{image.name} to {placed}")
        target = self._root / folder / placed
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(image.path, target)
        except OSError as error:
            raise DatasetError(f"{image.name} cannot be copied: {error.strerror}") from error
        return placed

    def _make_unique(self, name: str, folder: str) -> str:
        path, number = PurePosixPath(name), 1
        # File systems of other people do not tell A from a.
        while (key := f"{folder}/{path.with_suffix('')}".lower()) in self._taken:
            number += 1
            path = PurePosixPath(name).with_stem(f"{PurePosixPath(name).stem}-{number}")
        self._taken.add(key)
        return str(path)


def make_plain(name: str) -> str:
    """A relative path without blanks or letters that a shell or a URL would have to quote."""
    return "/".join(_UNSAFE.sub("_", part).lstrip(".-") or "_" for part in name.split("/"))


def write_text(path: Path, text: str) -> None:
    """A UTF-8 file, lines ended as on Linux, its folder made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")


def format_number(value: float) -> str:
    """The shortest decimal that reads back as the same number: "12", "12.25"."""
    return str(int(value)) if value == int(value) else repr(value)
