"""A folder as a camera: in order, nothing lost, and trouble is told."""

import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from inference_core.contract.serve import Camera, FrameLost
from inference_core.errors import BadInput
from inference_core.pipeline.frames import Frame
from inference_core.pipeline.sources import open_source, parse_file_address

PICTURE = np.zeros((8, 8, 3), np.uint8)


def camera(folder: Path, frames_per_s: float = 1000) -> Camera:
    return Camera(name="cam", address=folder.as_uri(), frames_per_s=frames_per_s, mm_per_px=0.5)


def put(folder: Path, *names: str) -> None:
    for name in names:
        cv2.imwrite(str(folder / name), PICTURE)


def test_pictures_come_in_order_over_and_over(tmp_path: Path) -> None:
    put(tmp_path, "b.png", "a.png", "c.bmp", ".hidden.png")
    (tmp_path / "notes.txt").write_text("no picture")
    source = open_source(camera(tmp_path))
    frames = [source.take() for _ in range(4)]
    assert all(isinstance(frame, Frame) for frame in frames)
    assert [(f.source, f.sequence) for f in frames if isinstance(f, Frame)] == [
        ("a.png", 0),
        ("b.png", 1),
        ("c.bmp", 2),
        ("a.png", 3),
    ]


def test_a_new_picture_is_seen_in_the_next_round(tmp_path: Path) -> None:
    put(tmp_path, "b.png")
    source = open_source(camera(tmp_path))
    source.take()
    put(tmp_path, "a.png")
    frame = source.take()
    assert isinstance(frame, Frame)
    assert frame.source == "a.png"


def test_a_slow_judge_delays_frames_and_skips_none(tmp_path: Path) -> None:
    put(tmp_path, *(f"{index}.png" for index in range(5)))
    source = open_source(camera(tmp_path, frames_per_s=0.001))
    due = [source.due_s]
    names = []
    for _ in range(5):
        frame = source.take()
        assert isinstance(frame, Frame)
        names.append(frame.source)
        due.append(source.due_s)
    assert names == [f"{index}.png" for index in range(5)]
    np.testing.assert_allclose(np.diff(due), 1000)


def test_a_corrupt_picture_is_told_and_the_next_one_comes(tmp_path: Path) -> None:
    put(tmp_path, "b.png")
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8 half a picture")
    source = open_source(camera(tmp_path))
    lost, frame = source.take(), source.take()
    assert isinstance(lost, FrameLost)
    assert lost.cause == "corrupt_image"
    assert "a.jpg" in lost.detail
    assert isinstance(frame, Frame)
    assert frame.sequence == 0


def test_an_absent_folder_is_no_input_and_asked_ever_less_often(tmp_path: Path) -> None:
    source = open_source(camera(tmp_path / "gone"))
    waits = []
    for _ in range(8):
        lost = source.take()
        assert isinstance(lost, FrameLost)
        assert lost.cause == "no_input"
        waits.append(source.due_s - time.monotonic())
    assert waits[0] < waits[2] < waits[4]
    assert max(waits) <= 30 * 1.2


def test_a_folder_that_comes_back_is_read_again(tmp_path: Path) -> None:
    folder = tmp_path / "usb"
    source = open_source(camera(folder))
    assert isinstance(source.take(), FrameLost)
    folder.mkdir()
    lost = source.take()
    assert isinstance(lost, FrameLost)
    assert "holds no picture" in lost.detail
    put(folder, "a.png")
    assert isinstance(source.take(), Frame)


@pytest.mark.parametrize(
    "address",
    [
        "ftp://10.0.0.1/live",
        "rtsp://",
        "v4l2:///etc/passwd",
        "relative/folder",
        "file://host/share",
        "file:///",
        "http://[::1/x",
        "",
    ],
)
def test_an_address_that_cannot_be_used_is_no_input_and_no_crash(address: str) -> None:
    source = open_source(Camera(name="cam", address=address))
    lost = source.take()
    assert isinstance(lost, FrameLost)
    assert lost.cause == "no_input"
    assert source.due_s > time.monotonic()


def test_an_address_may_hold_spaces(tmp_path: Path) -> None:
    folder = tmp_path / "line 1 – left"
    folder.mkdir()
    assert parse_file_address(folder.as_uri()) == folder
    with pytest.raises(BadInput):
        parse_file_address("file://elsewhere/x")
