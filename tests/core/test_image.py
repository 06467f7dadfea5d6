"""Pictures in, tensors out, and the way back."""

import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_core.errors import BadInput, CorruptPicture
from inference_core.image import prepare
from inference_core.lighting import balance_gray_world, equalise_contrast
from inference_core.picture import decode_picture, measure_picture, read_picture
from tests.core.core_models import BOARD, board, segmenter


def encode(picture: np.ndarray, suffix: str) -> bytes:
    return cv2.imencode(suffix, picture)[1].tobytes()


PICTURE = np.random.default_rng(0).integers(0, 256, (37, 53, 3), dtype=np.uint8)
JPEG, PNG, BMP = (encode(PICTURE, suffix) for suffix in (".jpg", ".png", ".bmp"))

sides = st.integers(1, 300)
shares = st.floats(0.05, 0.45)


@pytest.mark.parametrize("data", [JPEG, PNG, BMP])
def test_the_header_tells_the_size_before_decoding(data: bytes) -> None:
    assert measure_picture(data) == (53, 37)
    assert decode_picture(data).shape == (37, 53, 3)


def test_lossless_pictures_come_back_as_they_were() -> None:
    assert np.array_equal(decode_picture(PNG), PICTURE)
    assert np.array_equal(decode_picture(BMP), PICTURE)


@pytest.mark.parametrize("data", [JPEG, PNG, BMP])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_picture_cut_short_is_refused_though_opencv_would_fill_it(
    data: bytes, share: float
) -> None:
    with pytest.raises(CorruptPicture):
        decode_picture(data[: int(len(data) * share)])


def test_padding_behind_the_end_of_a_jpeg_is_allowed() -> None:
    assert decode_picture(JPEG + bytes(500)).shape == (37, 53, 3)


def test_a_decompression_bomb_is_refused_by_its_header() -> None:
    ihdr = b"IHDR" + (60_000).to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0])
    chunk = len(ihdr[4:]).to_bytes(4, "big") + ihdr + zlib.crc32(ihdr).to_bytes(4, "big")
    end = bytes(4) + b"IEND" + zlib.crc32(b"IEND").to_bytes(4, "big")
    with pytest.raises(BadInput, match="pixels are more than"):
        decode_picture(b"\x89PNG\r\n\x1a\n" + chunk + end)


@pytest.mark.parametrize("data", [b"", b"GIF89a" + bytes(40), b"\xff\xd8\xff\xd9", b"BM", b"%PDF"])
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(CorruptPicture):
        decode_picture(data)


@given(st.binary(max_size=200), st.sampled_from([b"", b"\xff\xd8", b"BM", b"\x89PNG\r\n\x1a\n"]))
def test_no_bytes_raise_anything_but_our_errors(data: bytes, start: bytes) -> None:
    try:
        picture = decode_picture(start + data)
    except BadInput:
        return
    assert picture.ndim == 3


def test_the_error_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "part-7.jpg").write_bytes(JPEG[:100])
    with pytest.raises(CorruptPicture, match=r"part-7\.jpg"):
        read_picture(tmp_path / "part-7.jpg")
    with pytest.raises(CorruptPicture, match=r"gone\.jpg cannot be read"):
        read_picture(tmp_path / "gone.jpg")


@given(sides, sides, sides, sides, st.sampled_from(["stretch", "letterbox", "pad_right"]))
def test_points_go_to_the_tensor_and_back_exactly(
    width: int, height: int, to_width: int, to_height: int, resize: str
) -> None:
    frame = np.zeros((height, width, 3), np.uint8)
    transform = prepare(frame, segmenter(to_width, to_height, resize=resize)).transform
    corners = np.array([[0, 0], [width, height], [width / 3, height / 7]], dtype=np.float64)
    there = transform.to_tensor(corners)
    np.testing.assert_allclose(transform.to_frame(there), corners, atol=1e-9 * max(width, height))
    x, y, content_width, content_height = transform.content_xywh
    np.testing.assert_allclose(there[:2], [[x, y], [x + content_width, y + content_height]])
    assert 0 <= x <= x + content_width <= to_width
    assert 0 <= y <= y + content_height <= to_height


@given(sides, sides, st.tuples(shares, shares, shares, shares))
def test_points_of_a_region_come_back_as_frame_pixels(
    width: int, height: int, region: tuple[float, float, float, float]
) -> None:
    x, y, w, h = region
    transform = prepare(np.zeros((height, width, 3), np.uint8), segmenter(), region).transform
    corners = transform.to_frame(np.array([[0.0, 0.0], [8.0, 6.0]]))
    expected = np.array([[x * width, y * height], [(x + w) * width, (y + h) * height]])
    np.testing.assert_allclose(corners, expected, atol=1.01)
    assert (corners >= 0).all()
    assert (corners <= [width, height]).all()


@given(sides, sides)
def test_a_letterbox_keeps_the_aspect_ratio_and_centres(width: int, height: int) -> None:
    transform = prepare(
        np.zeros((height, width, 3), np.uint8), segmenter(64, 48, resize="letterbox")
    ).transform
    x, y, content_width, content_height = transform.content_xywh
    ratio = min(64 / width, 48 / height)
    assert abs(content_width - width * ratio) <= 1
    assert abs(content_height - height * ratio) <= 1
    assert abs(64 - content_width - 2 * x) <= 1
    assert abs(48 - content_height - 2 * y) <= 1


@pytest.mark.parametrize(("colour", "order"), [("rgb", [2, 1, 0]), ("bgr", [0, 1, 2])])
@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_every_pixel_is_scaled_shifted_and_put_in_its_place(
    colour: str, order: list[int], layout: str
) -> None:
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    manifest = segmenter(53, 37, colour=colour, layout=layout, mean=mean, std=std)
    if layout == "nhwc":
        inputs = (manifest.inputs[0].model_copy(update={"shape": (1, 37, 53, 3)}),)
        manifest = manifest.model_copy(update={"inputs": inputs})
    tensor = prepare(PICTURE, manifest).tensor
    expected = (PICTURE[..., order] / 255 - np.array(mean)) / np.array(std)
    actual = tensor[0].transpose(1, 2, 0) if layout == "nchw" else tensor[0]
    assert tensor.dtype == np.float32
    np.testing.assert_allclose(actual, expected, atol=2e-6)


def test_padding_is_a_pixel_value_that_is_normalised_too() -> None:
    manifest = segmenter(40, 10, resize="pad_right", pad_value=127.5, mean=[0.5], std=[0.5])
    tensor = prepare(np.full((20, 20, 3), 255, np.uint8), manifest).tensor
    np.testing.assert_allclose(tensor[..., :10], 1.0, atol=1e-6)
    np.testing.assert_allclose(tensor[..., 10:], 0.0, atol=1e-6)


@pytest.mark.parametrize(("dtype", "expected"), [("uint8", 200), ("float16", 200.0), ("int8", 127)])
def test_the_tensor_has_the_dtype_of_the_manifest(dtype: str, expected: float) -> None:
    manifest = segmenter(4, 4, scale=1.0)
    inputs = (manifest.inputs[0].model_copy(update={"dtype": dtype}),)
    tensor = prepare(
        np.full((4, 4, 3), 200, np.uint8), manifest.model_copy(update={"inputs": inputs})
    ).tensor
    assert tensor.dtype == np.dtype(dtype)
    assert (tensor == expected).all()


def test_the_frame_is_not_touched() -> None:
    frame = board()
    before = frame.copy()
    for lighting in ("gray_world", "clahe"):
        prepare(frame, segmenter(640, 480, lighting=lighting))
    assert np.array_equal(frame, before)


def test_gray_world_takes_a_colour_cast_away() -> None:
    cast = (board() * np.array([0.6, 0.8, 1.0])).astype(np.uint8)
    means = balance_gray_world(cast).mean(axis=(0, 1))
    assert np.ptp(cast.mean(axis=(0, 1))) > 20
    assert np.ptp(means) < 2


def test_clahe_brings_out_contrast_and_keeps_the_size() -> None:
    dull = (board() // 4 + 90).astype(np.uint8)
    clear = equalise_contrast(dull)
    assert clear.shape == dull.shape
    assert clear.std() > 1.3 * dull.std()


@pytest.mark.parametrize(
    "frame",
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8)],
)
def test_a_frame_of_another_kind_is_refused(frame: np.ndarray) -> None:
    with pytest.raises(BadInput, match="H×W×3"):
        prepare(frame, segmenter())


def test_a_manifest_whose_channels_disagree_with_its_colour_is_refused() -> None:
    with pytest.raises(BadInput, match="3 channels, the manifest says 1"):
        prepare(PICTURE, segmenter(colour="gray"))


def test_the_sample_photograph_can_be_read() -> None:
    assert read_picture(BOARD).shape == (480, 640, 3)
