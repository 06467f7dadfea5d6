"""The size of a JPEG from its header, for every way to write one."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest

from server.lib.errors import Invalid
from server.review.pictures import jpeg_size


def encode(width: int, height: int, *options: int) -> bytes:
    done, encoded = cv2.imencode(".jpg", np.zeros((height, width, 3), np.uint8), options)
    assert done
    return encoded.tobytes()


@pytest.mark.parametrize("options", [(), (cv2.IMWRITE_JPEG_PROGRESSIVE, 1)])
@pytest.mark.parametrize(("width", "height"), [(1, 1), (640, 480), (33, 700)])
def test_the_size_is_width_and_height(width: int, height: int, options: tuple[int, ...]) -> None:
    assert jpeg_size(io.BytesIO(encode(width, height, *options))) == (width, height)


def test_fill_bytes_and_long_comments_are_passed_over() -> None:
    plain = encode(64, 48)
    comment = b"\xff\xff\xff\xfe\xff\xff" + b"x" * 65_533
    assert jpeg_size(io.BytesIO(plain[:2] + comment + plain[2:])) == (64, 48)


@pytest.mark.parametrize("end", range(0, 160, 7))
def test_a_header_that_is_cut_short_is_no_jpeg(end: int) -> None:
    with pytest.raises(Invalid, match="JPEG"):
        jpeg_size(io.BytesIO(encode(64, 48)[:end]))


@pytest.mark.parametrize("size", [b"\0\0\0\1", b"\0\1\0\0", b"\x40\x01\0\1", b"\x3f\xff\x3f\xff"])
def test_a_claim_of_no_or_too_many_pixels_is_refused(size: bytes) -> None:
    picture = bytearray(encode(64, 48))
    at = picture.index(b"\xff\xc0") + 5
    picture[at : at + 4] = size
    with pytest.raises(Invalid, match="pixels"):
        jpeg_size(io.BytesIO(bytes(picture)))
