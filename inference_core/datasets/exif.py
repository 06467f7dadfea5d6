"""Whether a camera lay on its side: the orientation in a JPEG, which decoders obey."""

from __future__ import annotations

from typing import Literal

_ORIENTATION = 0x0112
_LYING = frozenset({5, 6, 7, 8})
"""Values that swap width and height (Exif 2.3, 4.6.4)."""
_MAX_ENTRIES = 200


def lies_on_its_side(data: bytes) -> bool:
    """Whether decoding swaps the width and height that the JPEG's header gives.

    False also for other formats, and for what no decoder could read either.
    """
    position = 2
    while data[:2] == b"\xff\xd8" and position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        segment = data[position + 4 : position + 2 + length]
        if marker == 0xE1 and segment.startswith(b"Exif\0\0"):
            return _read_orientation(segment[6:]) in _LYING
        if marker == 0xDA or length < 2:
            return False
        position += 2 + length
    return False


def _read_orientation(tiff: bytes) -> int:
    """The tag's value in the first directory (TIFF 6.0, section 2); 0 where there is none."""
    order: Literal["little", "big"] = "little" if tiff[:2] == b"II" else "big"

    def read(start: int, size: int) -> int:
        return int.from_bytes(tiff[start : start + size], order)

    directory = read(4, 4)
    for entry in range(min(read(directory, 2), _MAX_ENTRIES)):
        start = directory + 2 + 12 * entry
        if read(start, 2) == _ORIENTATION:
            return read(start + 8, 2)
    return 0
