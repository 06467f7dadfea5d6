"""Reading pictures from strangers: JPEG, PNG or BMP to BGR uint8, refused before they can hurt."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from inference_core.errors import BadInput, CorruptPicture

Picture = NDArray[np.uint8]
"""H×W×3, BGR."""

Window = tuple[int, int, int, int]
"""x, y, width, height in whole pixels of a frame."""

MAX_PICTURE_BYTES = 64 * 1024 * 1024
MAX_PIXELS = 50_000_000
PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp"})

_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_TAIL_BYTES = 4096
"""Some cameras pad behind the end marker; a thumbnail's own end marker lies further ahead."""


def read_picture(path: Path) -> Picture:
    """The picture in a file.

    Raises ``CorruptPicture`` where it cannot be read whole, ``BadInput`` where it is too large.
    """
    try:
        if path.stat().st_size > MAX_PICTURE_BYTES:
            raise BadInput(f"{path.name} is larger than {MAX_PICTURE_BYTES} bytes")
        data = path.read_bytes()
    except OSError as error:
        raise CorruptPicture(f"{path.name} cannot be read: {error.strerror}") from error
    try:
        return decode_picture(data)
    except CorruptPicture as error:
        raise CorruptPicture(f"{path.name}: {error}") from error
    except BadInput as error:
        raise BadInput(f"{path.name}: {error}") from error


def decode_picture(data: bytes) -> Picture:
    """The picture in ``data``. Its size is read from the header before a pixel is decoded."""
    width, height = measure_picture(data)
    if width * height > MAX_PIXELS:
        raise BadInput(f"{width}×{height} pixels are more than {MAX_PIXELS}; send a smaller one")
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise CorruptPicture(f"the picture does not decode: {error.err}") from error
    if picture is None:
        raise CorruptPicture("the picture does not decode")
    return _as_uint8(picture)


def measure_picture(data: bytes) -> tuple[int, int]:
    """Width and height as the header says. Raises ``CorruptPicture`` for a picture cut short.

    OpenCV fills the missing rest of a truncated JPEG with grey, which a model would judge.
    """
    if data.startswith(_PNG_MAGIC):
        size, whole = _measure_png(data), b"IEND" in data[-_TAIL_BYTES:]
    elif data.startswith(b"\xff\xd8"):
        size, whole = _measure_jpeg(data), b"\xff\xd9" in data[-_TAIL_BYTES:]
    elif data.startswith(b"BM"):
        size, whole = _measure_bmp(data)
    else:
        raise CorruptPicture("this is neither JPEG nor PNG nor BMP")
    if size is None or min(size) <= 0:
        raise CorruptPicture("the header gives no size")
    if not whole:
        raise CorruptPicture("the picture is cut short")
    return size


def _measure_png(data: bytes) -> tuple[int, int] | None:
    """PNG specification, 11.2.1: IHDR is the first chunk."""
    if len(data) < 24 or data[12:16] != b"IHDR":
        return None
    width, height = struct.unpack(">II", data[16:24])
    return width, height


def _measure_jpeg(data: bytes) -> tuple[int, int] | None:
    """ITU-T T.81, B.2.2: walks the segments to the frame header (SOF0–SOF15)."""
    position = 2
    while position + 9 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF:  # fill byte
            position += 1
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", data[position + 5 : position + 9])
            return width, height
        else:
            position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return None


def _measure_bmp(data: bytes) -> tuple[tuple[int, int] | None, bool]:
    """BITMAPFILEHEADER and BITMAPINFOHEADER; a negative height means top-down rows."""
    if len(data) < 26:
        return None, False
    (stated_bytes,) = struct.unpack("<I", data[2:6])
    width, height = struct.unpack("<ii", data[18:26])
    return (width, abs(height)), len(data) >= stated_bytes


def _as_uint8(picture: NDArray[Any]) -> Picture:
    return np.ascontiguousarray(picture, dtype=np.uint8)
