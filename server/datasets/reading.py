"""From an archive to a dataset: every label is understood and every picture looked at."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from inference_core.contract.dataset import (
    LABELS_FILE,
    MAX_LABELS_BYTES,
    LabelLine,
    dataset_sha256,
)
from server.datasets.archive import Archive
from server.datasets.pictures import HEAD_BYTES, TAIL_BYTES, PictureError, PictureSize, read_size
from server.lib.errors import Invalid, TooLarge
from server.lib.messages import read_json

_MASK_KIND = "png"


@dataclass(frozen=True)
class Contents:
    """A dataset that is in order: its lines, and the digest of every file and of the whole."""

    lines: tuple[LabelLine, ...]
    sha256_of_file: dict[str, str]
    sha256: str
    length: int


def read_contents(archive: Archive) -> Contents:
    """Check the folder format. Raises Invalid with the line or file that is wrong."""
    lines = tuple(_lines(archive))
    if not lines:
        raise Invalid(f"{LABELS_FILE} names no image.")
    _check_names(archive, lines)
    sizes: dict[str, PictureSize] = {}
    digests = {LABELS_FILE: hashlib.sha256(_labels(archive)).hexdigest()}
    for name in sorted(archive.names - {LABELS_FILE}):
        digests[name], sizes[name] = _look_at(archive, name)
    for line in lines:
        _check_mask(line, sizes)
    length = sum(archive.length(name) for name in archive.names)
    return Contents(lines, digests, dataset_sha256(digests), length)


def _labels(archive: Archive) -> bytes:
    if LABELS_FILE not in archive.names:
        raise Invalid(f"The archive has no {LABELS_FILE} at its top. {_how_to_pack(archive)}")
    if archive.length(LABELS_FILE) > MAX_LABELS_BYTES:
        raise TooLarge(f"{LABELS_FILE} is too large.", max_bytes=MAX_LABELS_BYTES)
    return b"".join(archive.chunks(LABELS_FILE))


def _how_to_pack(archive: Archive) -> str:
    """Most who go wrong have packed the folder instead of what is in it."""
    deeper = [name for name in archive.names if name.endswith(f"/{LABELS_FILE}")]
    if not deeper:
        return "Add it: a line of JSON for each image, with what is known of it."
    folder = min(deeper, key=len).removesuffix(f"/{LABELS_FILE}")
    return f"It lies in {folder}: pack what is in that folder, not the folder itself."


def _lines(archive: Archive) -> Iterator[LabelLine]:
    seen: set[str] = set()
    for number, text in enumerate(_labels(archive).removesuffix(b"\n").split(b"\n"), start=1):
        try:
            line = read_json(LabelLine, text)
        except Invalid as error:
            raise Invalid(f"{LABELS_FILE}:{number}: {error.detail}", **error.extra) from None
        if line.image in seen:
            raise Invalid(f"{LABELS_FILE}:{number} names {line.image} a second time.")
        seen.add(line.image)
        yield line


def _check_names(archive: Archive, lines: tuple[LabelLine, ...]) -> None:
    """The digest covers what the labels name, so nothing else may lie in the archive."""
    named = {LABELS_FILE, *(name for line in lines for name in (line.image, line.mask) if name)}
    if missing := sorted(named - archive.names):
        raise Invalid(
            f"{LABELS_FILE} names {missing[0]}, which is not in the archive. Add it, or take "
            "its line out."
        )
    if stray := sorted(archive.names - named):
        raise Invalid(
            f"{stray[0]} is in the archive, but {LABELS_FILE} does not name it. Give it a "
            "line, even one without a label, or leave it out."
        )


def _look_at(archive: Archive, name: str) -> tuple[str, PictureSize]:
    digest, head, tail = hashlib.sha256(), b"", b""
    for chunk in archive.chunks(name):
        digest.update(chunk)
        head += chunk[: HEAD_BYTES - len(head)]
        tail = (tail + chunk)[-TAIL_BYTES:]
    try:
        return digest.hexdigest(), read_size(head, tail)
    except PictureError as error:
        raise Invalid(f"{name} {error}.") from None


def _check_mask(line: LabelLine, sizes: dict[str, PictureSize]) -> None:
    if line.mask is None:
        return
    image, mask = sizes[line.image], sizes[line.mask]
    if mask.kind != _MASK_KIND:
        raise Invalid(f"{line.mask} is a {mask.kind}; masks are PNG, because JPEG blurs classes.")
    if (image.width, image.height) != (mask.width, mask.height):
        raise Invalid(
            f"{line.mask} is {mask.width}x{mask.height} pixels, but {line.image} is "
            f"{image.width}x{image.height}."
        )
