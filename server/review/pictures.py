"""What can be said of a JPEG without decoding it."""

from __future__ import annotations

from typing import IO

from server.lib.errors import Invalid

MAX_SIDE_PX = 16_384
MAX_AREA_PX = 64 * 1024 * 1024
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})


def jpeg_size(file: IO[bytes]) -> tuple[int, int]:
    """Width and height from the frame header (ITU-T T.81, annex B); Invalid for anything else.

    A header that claims more than 64 megapixels is refused, before anybody decodes it.
    """
    if file.read(2) != b"\xff\xd8":
        raise Invalid("The image is no JPEG.")
    while True:
        marker = _next_marker(file)
        if marker in _ALONE:
            continue
        length = int.from_bytes(_read(file, 2), "big")
        if marker not in _FRAMES:
            _read(file, length - 2)
            continue
        header = _read(file, 5)  # precision, height, width
        height, width = int.from_bytes(header[1:3], "big"), int.from_bytes(header[3:5], "big")
        return _checked(width, height)


def _next_marker(file: IO[bytes]) -> int:
    if _read(file, 1) != b"\xff":
        raise Invalid("The JPEG has no frame header.")
    marker = 0xFF
    while marker == 0xFF:  # fill bytes
        marker = _read(file, 1)[0]
    if marker in (0xD9, 0xDA):
        raise Invalid("The JPEG has no frame header.")
    return marker


def _read(file: IO[bytes], count: int) -> bytes:
    content = file.read(count) if count >= 0 else b""
    if count < 0 or len(content) != count:
        raise Invalid("The JPEG ends within its header.")
    return content


def _checked(width: int, height: int) -> tuple[int, int]:
    if not (0 < width <= MAX_SIDE_PX and 0 < height <= MAX_SIDE_PX):
        raise Invalid(f"The JPEG claims {width}x{height} pixels; {MAX_SIDE_PX} a side are taken.")
    if width * height > MAX_AREA_PX:
        raise Invalid(f"The JPEG claims {width * height} pixels; {MAX_AREA_PX} are taken.")
    return width, height
