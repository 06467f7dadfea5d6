"""Reads the size of a picture from its header; not one pixel is decoded in the server."""

from __future__ import annotations

import struct
from dataclasses import dataclass

HEAD_BYTES = 1024 * 1024
TAIL_BYTES = 64 * 1024
MAX_SIDE_PX = 16_384
MAX_PIXELS = 64 * 1024 * 1024

_PNG, _PNG_END = b"\x89PNG\r\n\x1a\n", b"\x00\x00\x00\x00IEND\xaeB`\x82"
_JPEG, _JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_BARE_MARKERS = frozenset({0x01, *range(0xD0, 0xD8)})


class PictureError(ValueError):
    """The bytes are no picture that is taken; the sentence says why."""


@dataclass(frozen=True)
class PictureSize:
    """Pixels, as the header says."""

    width: int
    height: int
    kind: str


def read_size(head: bytes, tail: bytes) -> PictureSize:
    """Size of a JPEG or PNG from its first ``HEAD_BYTES`` and last ``TAIL_BYTES``.

    Raises PictureError for another format, a header that is cut short or out of all proportion,
    and a file that does not end as its format must.
    """
    if head.startswith(_PNG):
        size, is_whole = _png_size(head), tail.endswith(_PNG_END)
    elif head.startswith(_JPEG):
        # Cameras write notes of their own after the end.
        size, is_whole = _jpeg_size(head), _JPEG_END in tail
    else:
        raise PictureError("is neither JPEG nor PNG")
    if not is_whole:
        raise PictureError("was cut short: its end is missing")
    _check(size)
    return size


def _png_size(head: bytes) -> PictureSize:
    if len(head) < 33 or head[12:16] != b"IHDR":
        raise PictureError("has a broken PNG header")
    width, height = struct.unpack(">II", head[16:24])
    return PictureSize(width, height, "png")


def _jpeg_size(head: bytes) -> PictureSize:
    """Walk the segments (ITU-T T.81, B.1.1) up to the frame header."""
    place = 2
    while place + 4 <= len(head):
        if head[place] != 0xFF:
            raise PictureError("has a broken JPEG header")
        marker = head[place + 1]
        if marker == 0xFF:  # fill bytes may precede any marker
            place += 1
        elif marker in _BARE_MARKERS:
            place += 2
        elif marker in _FRAME_MARKERS:
            return _jpeg_frame(head[place + 4 : place + 9])
        else:
            place += 2 + max(2, int.from_bytes(head[place + 2 : place + 4], "big"))
    raise PictureError("has no frame header in its first megabyte")


def _jpeg_frame(frame: bytes) -> PictureSize:
    if len(frame) < 5:
        raise PictureError("has a broken JPEG header")
    _, height, width = struct.unpack(">BHH", frame)
    return PictureSize(width, height, "jpeg")


def _check(size: PictureSize) -> None:
    sides = (size.width, size.height)
    if min(sides) < 1 or max(sides) > MAX_SIDE_PX or size.width * size.height > MAX_PIXELS:
        raise PictureError(
            f"is {size.width}x{size.height} pixels; 1 to {MAX_SIDE_PX} a side and {MAX_PIXELS} "
            "in all are taken"
        )
