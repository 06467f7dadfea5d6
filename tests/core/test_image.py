"""Pictures in, tensors out, and the way back."""

import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from inference_core.contract.manifest import ModelManifest, Preprocess
from inference_core.errors import BadInput, CorruptPicture
from inference_core.image import Preparer, cut_out, prepare
from inference_core.lighting import balance_gray_world, equalise_contrast
from inference_core.picture import decode_picture, measure_picture, read_picture
from tests.core.core_models import BOARD, board, segmenter


def encode(picture: np.ndarray, suffix: str) -> bytes:
    return cv2.imencode(suffix, picture)[1].tobytes()


PICTURE = np.random.default_rng(0).integers(0, 256, (37, 53, 3), dtype=np.uint8)
JPEG, PNG, BMP = (encode(PICTURE, suffix) for suffix in (".jpg", ".png", ".bmp"))

sides = st.integers(1, 300)
sizes = st.tuples(sides, sides)
shares = st.floats(0.001, 0.45)
starts = st.floats(0, 0.55)


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


RESIZES = ["stretch", "letterbox", "pad_right", "pad_corner", "crop"]


@given(sizes, sizes, st.sampled_from(RESIZES), st.floats(0.1, 1.0))
def test_points_go_to_the_tensor_and_back_exactly(
    size: tuple[int, int], to_size: tuple[int, int], resize: str, share: float
) -> None:
    (width, height), (to_width, to_height) = size, to_size
    frame = np.zeros((height, width, 3), np.uint8)
    manifest = segmenter(to_width, to_height, resize=resize, crop_share=share)
    transform = prepare(frame, manifest).transform
    left, top, across, down = transform.looked_at_xywh
    points = np.array([[left, top], [left + across, top + down], [width / 3, height / 7]])
    there = transform.to_tensor(points)
    np.testing.assert_allclose(transform.to_frame(there), points, atol=1e-9 * max(width, height))
    x, y, content_width, content_height = transform.content_xywh
    np.testing.assert_allclose(there[:2], [[x, y], [x + content_width, y + content_height]])
    assert 0 <= x <= x + content_width <= to_width
    assert 0 <= y <= y + content_height <= to_height
    assert 0 <= left <= left + across <= width
    assert 0 <= top <= top + down <= height
    if resize != "crop":
        assert (left, top, across, down) == (0, 0, width, height)


@given(sides, sides, sides, sides, st.floats(0.1, 1.0))
def test_a_crop_is_the_middle_of_the_picture_in_the_shape_of_the_tensor(
    width: int, height: int, to_width: int, to_height: int, share: float
) -> None:
    manifest = segmenter(to_width, to_height, resize="crop", crop_share=share)
    transform = prepare(np.zeros((height, width, 3), np.uint8), manifest).transform
    x, y, across, down = transform.looked_at_xywh
    assert transform.content_xywh == (0, 0, to_width, to_height)
    assert 0 <= (width - across) - 2 * x <= 1
    assert 0 <= (height - down) - 2 * y <= 1
    ratio = share * min(width / to_width, height / to_height)
    assert abs(across - max(to_width * ratio, 1)) <= 0.5 + 1e-9
    assert abs(down - max(to_height * ratio, 1)) <= 0.5 + 1e-9


def test_a_crop_feeds_those_very_pixels() -> None:
    tensor = prepare(
        PICTURE, segmenter(20, 20, resize="crop", crop_share=20 / 37, scale=1.0)
    ).tensor
    assert np.array_equal(tensor[0].transpose(1, 2, 0), PICTURE[8:28, 16:36, ::-1])


@given(sides, sides)
def test_padding_in_the_corner_keeps_the_aspect_ratio_and_starts_at_the_top_left(
    width: int, height: int
) -> None:
    manifest = segmenter(64, 48, resize="pad_corner", pad_value=255.0)
    prepared = prepare(np.zeros((height, width, 3), np.uint8), manifest)
    x, y, across, down = prepared.transform.content_xywh
    ratio = min(64 / width, 48 / height)
    assert (x, y) == (0, 0)
    assert abs(across - width * ratio) <= 1
    assert abs(down - height * ratio) <= 1
    assert not prepared.tensor[..., :down, :across].any()
    assert (prepared.tensor[..., down:, :] == 1).all()
    assert (prepared.tensor[..., across:] == 1).all()


@given(sides, sides, st.tuples(starts, starts, shares, shares))
@example(3, 3, (0.5, 0.5, 0.05, 0.05))  # between two pixels' edges, nearer to the wrong one
def test_no_edge_of_a_window_is_further_than_a_pixel_from_its_region(
    width: int, height: int, region: tuple[float, float, float, float]
) -> None:
    x, y, w, h = region
    frame = np.zeros((height, width, 3), np.uint8)
    transform = prepare(frame, segmenter(), region).transform
    corners = transform.to_frame(np.array([[0.0, 0.0], [8.0, 6.0]]))
    expected = np.array([[x * width, y * height], [(x + w) * width, (y + h) * height]])
    np.testing.assert_allclose(corners, expected, atol=1 + 1e-9)
    assert (corners >= 0).all()
    assert (corners <= [width + 1e-9, height + 1e-9]).all()


@pytest.mark.parametrize(
    "window", [(-1, 0, 5, 5), (0, -1, 5, 5), (50, 0, 5, 5), (0, 35, 5, 5), (0, 0, 0, 5)]
)
def test_a_window_outside_the_frame_is_refused(window: tuple[int, int, int, int]) -> None:
    with pytest.raises(BadInput, match="not inside a frame of 53×37"):
        Preparer(segmenter()).prepare(PICTURE, window)


def test_a_window_is_prepared_as_if_it_were_the_frame() -> None:
    manifest = segmenter(16, 12, resize="letterbox", pad_value=114.0)
    part = Preparer(manifest).prepare(PICTURE, (5, 7, 30, 20))
    alone = prepare(np.ascontiguousarray(PICTURE[7:27, 5:35]), manifest)
    assert np.array_equal(part.tensor, alone.tensor)
    origin = np.zeros((1, 2))
    moved = part.transform.to_frame(origin) - alone.transform.to_frame(origin)
    np.testing.assert_allclose(moved, [[5, 7]])


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


NORMALISE: dict[str, dict[str, Any]] = {
    "untouched": {"scale": 1.0},
    "to one": {},
    "one value for all": {"scale": 1 / 127.5, "mean": [1.0]},
    "a value a channel": {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
    "in pixels": {"scale": 1.0, "mean": [103.53, 116.28, 123.675], "std": [57.375, 57.12, 58.395]},
}


def as_layout(manifest: ModelManifest, layout: str, dtype: str = "float32") -> ModelManifest:
    batch, channels, height, width = manifest.inputs[0].fixed_shape
    shape = (
        (batch, channels, height, width) if layout == "nchw" else (batch, height, width, channels)
    )
    inputs = (manifest.inputs[0].model_copy(update={"shape": shape, "dtype": dtype}),)
    preprocess = manifest.preprocess.model_copy(update={"layout": layout})
    return manifest.model_copy(update={"inputs": inputs, "preprocess": preprocess})


def oracle(picture: np.ndarray, preprocess: Preprocess) -> np.ndarray:
    """Plain numpy in double precision, H×W×3; nothing is resized."""
    ordered = picture[..., ::-1] if preprocess.colour == "rgb" else picture
    scaled = ordered.astype(np.float64) * preprocess.scale
    return (scaled - np.array(preprocess.mean)) / np.array(preprocess.std)


@pytest.mark.parametrize("colour", ["rgb", "bgr"])
@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("normalise", NORMALISE.values(), ids=NORMALISE.keys())
@pytest.mark.parametrize("resize", ["stretch", "letterbox"])
def test_every_pixel_is_scaled_shifted_and_put_in_its_place(
    colour: str, layout: str, normalise: dict[str, Any], resize: str
) -> None:
    width = 53 if resize == "stretch" else 60
    manifest = as_layout(segmenter(width, 37, colour=colour, resize=resize, **normalise), layout)
    prepared = prepare(PICTURE, manifest)
    x, y, across, down = prepared.transform.content_xywh
    tensor = prepared.tensor[0].transpose(1, 2, 0) if layout == "nchw" else prepared.tensor[0]
    actual = tensor[y : y + down, x : x + across]
    expected = oracle(PICTURE, manifest.preprocess)
    assert (x, y, across, down) == ((width - 53) // 2, 0, 53, 37)
    # Two roundings to float32, of numbers as large as the largest product.
    bound = 3 * np.finfo(np.float32).eps * np.abs(expected).max()
    np.testing.assert_allclose(actual, expected, rtol=0, atol=bound)


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_a_gray_model_gets_the_lightness(layout: str) -> None:
    base = segmenter(53, 37, colour="gray", scale=1.0)
    shape = (1, 1, 37, 53) if layout == "nchw" else (1, 37, 53, 1)
    inputs = (base.inputs[0].model_copy(update={"shape": shape}),)
    preprocess = base.preprocess.model_copy(update={"layout": layout})
    manifest = base.model_copy(update={"inputs": inputs, "preprocess": preprocess})
    weights = np.array([0.114, 0.587, 0.299])  # ITU-R BT.601, blue first
    np.testing.assert_allclose(
        prepare(PICTURE, manifest).tensor.reshape(37, 53), PICTURE @ weights, atol=0.51
    )


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


def test_an_int8_tensor_is_the_rounded_number() -> None:
    manifest = as_layout(segmenter(53, 37, scale=1.0, mean=[128.0]), "nhwc", "int8")
    expected = PICTURE[..., ::-1].astype(int) - 128
    assert np.array_equal(prepare(PICTURE, manifest).tensor[0], expected)


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "int8", "uint8", "int32", "int64"])
@pytest.mark.parametrize("mean", [(0.3,), (0.1, 0.5, 0.2)])
def test_every_pixel_is_scaled_shifted_and_cast_for_any_tensor(
    layout: str, dtype: str, mean: tuple[float, ...]
) -> None:
    scale = 1 / 255 if dtype.startswith("float") else 0.7
    base = segmenter(53, 37, scale=scale, mean=list(mean), std=[0.5])
    expected = (PICTURE[..., ::-1] * scale - np.array(mean)) / 0.5
    if not dtype.startswith("float"):
        limits = np.iinfo(dtype)
        expected = np.clip(np.rint(expected), limits.min, limits.max)
    tensor = prepare(PICTURE, as_layout(base, layout, dtype)).tensor[0]
    shown = tensor.transpose(1, 2, 0) if layout == "nchw" else tensor
    np.testing.assert_allclose(shown, expected.astype(dtype), rtol=1e-6, atol=1e-6)


SHAPES = st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=2, max_size=5)


@given(
    SHAPES,
    st.sampled_from(RESIZES),
    st.sampled_from(["nchw", "nhwc"]),
    st.sampled_from(["float32", "uint8", "int8", "float16"]),
    st.sampled_from(["none", "gray_world", "clahe"]),
)
@settings(max_examples=60, deadline=None)
def test_a_preparer_keeps_nothing_of_earlier_frames(
    shapes: list[tuple[int, int]], resize: str, layout: str, dtype: str, lighting: str
) -> None:
    base = segmenter(24, 16, resize=resize, lighting=lighting, scale=1.0, pad_value=114.0)
    manifest = as_layout(base, layout, dtype)
    preparer = Preparer(manifest)
    for seed, (height, width) in enumerate(shapes):
        pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
        warm, fresh = preparer.prepare(pixels), prepare(pixels, manifest)
        assert warm.transform == fresh.transform
        assert np.array_equal(warm.tensor, fresh.tensor)


def test_a_warm_preparer_allocates_next_to_nothing() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (720, 1280, 3), dtype=np.uint8)
    preparer = Preparer(segmenter(416, 416, resize="letterbox", mean=[0.5], std=[0.25]))
    first = preparer.prepare(frame).tensor
    tracemalloc.start()
    try:
        again = preparer.prepare(frame).tensor
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert again is first
    assert peak_bytes < 0.1 * frame.nbytes


def quadrangle(
    centre: tuple[float, float], size: tuple[float, float], degrees: float
) -> np.ndarray:
    """Corners from the top left, clockwise, of a box turned clockwise."""
    turn = np.deg2rad(degrees)
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    halves = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * np.array(size) / 2
    return halves @ rotation + np.array(centre)


def test_an_upright_cut_out_is_a_slice() -> None:
    polygon = np.array([[3, 4], [43, 4], [43, 30], [3, 30]], dtype=np.float64)
    assert np.array_equal(cut_out(PICTURE, polygon), PICTURE[4:30, 3:43])


def test_a_tall_cut_out_is_turned_so_that_its_text_runs_to_the_right() -> None:
    polygon = np.array([[3, 4], [13, 4], [13, 34], [3, 34]], dtype=np.float64)
    assert np.array_equal(cut_out(PICTURE, polygon), np.rot90(PICTURE[4:34, 3:13]))


@pytest.mark.parametrize("degrees", [-80, -30, 15, 45, 90, 180])
def test_a_turned_label_comes_out_as_it_was_printed(degrees: float) -> None:
    label = cv2.resize(board()[60:82, 40:150], (160, 40), interpolation=cv2.INTER_AREA)
    place = quadrangle((200.0, 150.0), (160, 40), degrees)
    corners = np.array([[0, 0], [160, 0], [160, 40], [0, 40]], np.float32) - np.float32(0.5)
    matrix = cv2.getPerspectiveTransform(corners, place.astype(np.float32) - np.float32(0.5))
    frame = cv2.warpPerspective(label, matrix, (400, 300), flags=cv2.INTER_CUBIC)
    difference = cv2.absdiff(cut_out(frame, place), label)[3:-3, 3:-3]
    assert difference.mean() < 4


@pytest.mark.parametrize(
    "polygon",
    [
        np.zeros((4, 2)),
        np.array([[0, 0], [9, 0], [9, 9]]),
        np.array([[0, 0], [0, 9], [9, 9], [9, 0]]),
        np.array([[0, 0], [np.nan, 0], [9, 9], [0, 9]]),
        np.array([[0, 0], [1e6, 0], [1e6, 1e6], [0, 1e6]]),
    ],
    ids=["no area", "three points", "counter-clockwise", "not finite", "huge"],
)
def test_what_cannot_be_cut_out_is_refused(polygon: np.ndarray) -> None:
    with pytest.raises(BadInput):
        cut_out(PICTURE, polygon)


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


def test_gray_world_is_the_formula_of_its_paper() -> None:
    picture = board().astype(np.float64)
    means = picture.mean(axis=(0, 1))
    expected = np.clip(picture * means.mean() / means, 0, 255)
    np.testing.assert_allclose(balance_gray_world(board()), expected, atol=0.5 + 1e-3)


def test_clahe_leaves_the_colours() -> None:
    dull = (board() // 4 + 90).astype(np.uint8)
    before, after = (cv2.cvtColor(p, cv2.COLOR_BGR2LAB) for p in (dull, equalise_contrast(dull)))
    assert np.abs(after[..., 1:].astype(int) - before[..., 1:]).mean() < 1.0


def test_lighting_in_place_is_the_same_lighting() -> None:
    for normalise in (balance_gray_world, equalise_contrast):
        picture = board()
        assert np.array_equal(normalise(picture, picture), normalise(board()))


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
