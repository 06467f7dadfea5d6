"""Videos: every frame, in true time, over and over for a device and once for a person."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from inference_core.contract.serve import Camera, FrameLost
from inference_core.errors import BadInput
from inference_core.pipeline.frames import Frame
from inference_core.pipeline.sources import VideoSource, iterate_frames, open_source

from .cameras import paint, read_number, write_video

STREET = Path(__file__).parents[2] / "samples" / "video" / "vtest.avi"
CLI = Camera(name="cli", address="file:///")


def frames_of(*paths: Path) -> list[Frame]:
    items = list(iterate_frames(paths, CLI))
    assert all(isinstance(item, Frame) for item in items)
    return items  # type: ignore[return-value]  # asserted above


def test_a_video_gives_each_frame_with_its_time(tmp_path: Path) -> None:
    frames = frames_of(write_video(tmp_path / "belt.avi", 12, fps=10))
    assert [read_number(frame.picture) for frame in frames] == list(range(12))
    assert [frame.sequence for frame in frames] == list(range(12))
    np.testing.assert_allclose([frame.captured_s for frame in frames], np.arange(12) / 10)


def test_the_street_has_its_ten_frames_a_second() -> None:
    items = iterate_frames([STREET], CLI)
    frames = [item for item, _ in zip(items, range(20), strict=False) if isinstance(item, Frame)]
    np.testing.assert_allclose(np.diff([frame.captured_s for frame in frames]), 0.1, atol=1e-6)
    assert frames[0].picture.shape == (576, 768, 3)


def test_a_device_plays_a_video_over_and_over(tmp_path: Path) -> None:
    path = write_video(tmp_path / "belt.avi", 3)
    source = open_source(Camera(name="belt", address=path.as_uri(), frames_per_s=1000))
    assert isinstance(source, VideoSource)
    assert not source.is_live
    frames = [source.take() for _ in range(7)]
    assert all(isinstance(frame, Frame) for frame in frames)
    assert [frame.sequence for frame in frames if isinstance(frame, Frame)] == list(range(7))
    times_s = [frame.captured_s for frame in frames if isinstance(frame, Frame)]
    np.testing.assert_allclose(times_s, [0, 0.1, 0.2, 0, 0.1, 0.2, 0], atol=1e-9)
    source.close()


def test_a_video_that_is_not_there_is_no_input(tmp_path: Path) -> None:
    path = tmp_path / "gone.mp4"
    source = open_source(Camera(name="belt", address=path.as_uri()))
    lost = source.take()
    assert isinstance(lost, FrameLost)
    assert lost.cause == "no_input"
    write_video(path.with_suffix(".avi"), 2).rename(path)
    assert isinstance(source.take(), Frame)


def test_a_broken_video_is_told_and_never_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "noise.mp4"
    path.write_bytes(np.random.default_rng(0).bytes(5000))
    (lost,) = iterate_frames([path], CLI)
    assert isinstance(lost, FrameLost)
    assert lost.cause == "corrupt_image"
    assert "noise.mp4" in lost.detail


def test_a_video_that_is_cut_short_says_so_after_its_frames(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "whole.avi", 40).read_bytes()
    path = tmp_path / "half.avi"
    path.write_bytes(whole[: len(whole) // 2])
    *frames, last = iterate_frames([path], CLI)
    assert 5 < len(frames) < 30
    assert isinstance(last, FrameLost)
    assert "cut short" in last.detail


def test_pictures_folders_and_videos_come_in_the_order_they_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    for name in ("b.png", "a.png"):
        cv2.imwrite(str(folder / name), paint(1))
    alone = tmp_path / "alone.bmp"
    cv2.imwrite(str(alone), paint(2))
    video = write_video(tmp_path / "belt.avi", 2)
    frames = frames_of(video, folder, alone)
    named = [frame.source for frame in frames]
    assert named == ["belt.avi", "belt.avi", "a.png", "b.png", "alone.bmp"]
    assert [frame.sequence for frame in frames] == [0, 1, 2, 3, 4]


def test_a_corrupt_picture_among_others_is_told_and_the_next_comes(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8 half a picture")
    cv2.imwrite(str(tmp_path / "b.png"), paint(1))
    lost, frame = iterate_frames([tmp_path], CLI)
    assert isinstance(lost, FrameLost)
    assert isinstance(frame, Frame)
    assert frame.sequence == 0


def test_a_path_that_does_not_exist_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "b.png"), paint(1))
    with pytest.raises(BadInput, match="does not exist"):
        iterate_frames([tmp_path, tmp_path / "gone.png"], CLI)


def test_folders_without_a_picture_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no picture"):
        iterate_frames([tmp_path], CLI)


def test_frames_are_read_one_by_one(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(tmp_path / name), paint(1))
    items = iterate_frames([tmp_path], CLI)
    next(items)
    (tmp_path / "b.png").unlink()
    assert isinstance(next(items), FrameLost)
