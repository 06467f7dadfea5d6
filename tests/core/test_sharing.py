"""Frames on their way from one inference child to another, through a folder."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inference_core.contract.serve import (
    FrameDone,
    FrameJudged,
    Heartbeat,
    JudgeFrame,
    Ready,
    ShareFrames,
)
from inference_core.contract.words import VerdictWord
from inference_core.errors import BadInput
from inference_core.picture import MAX_PIXELS, read_picture
from inference_core.pipeline.frames import Frame
from inference_core.pipeline.sharing import MAX_WAITING, FrameShare, take_shared
from tests.core.test_serve import Child, Start, pictures, start

__all__ = ["pictures", "start"]  # fixtures
NOW = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)


def frame(picture: np.ndarray[Any, np.dtype[np.uint8]], sequence: int = 3) -> Frame:
    return Frame("cam", sequence, "3.png", NOW, 0.0, picture, mm_per_px=0.5)


def order(path: Path) -> JudgeFrame:
    return JudgeFrame(
        path=str(path), camera="cam", sequence=3, source="3.png", captured_at=NOW, mm_per_px=0.5
    )


def test_a_frame_comes_back_as_it_was_judged_and_its_file_is_gone(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (37, 53, 3), np.uint8)
    path = FrameShare(tmp_path).offer(frame(noise), 1.0)
    assert path is not None
    taken = take_shared(order(path), tmp_path)
    np.testing.assert_array_equal(taken.picture, noise)
    assert (taken.sequence, taken.source, taken.mm_per_px) == (3, "3.png", 0.5)
    assert list(tmp_path.iterdir()) == []


def test_a_shared_frame_is_of_no_cameras_own_stream(tmp_path: Path) -> None:
    path = FrameShare(tmp_path).offer(frame(np.zeros((4, 4, 3), np.uint8)), 1.0)
    assert path is not None
    assert take_shared(order(path), tmp_path).camera != "cam"


def test_whoever_judges_too_slowly_costs_a_few_files_and_no_more(tmp_path: Path) -> None:
    share = FrameShare(tmp_path)
    picture = np.zeros((4, 4, 3), np.uint8)
    offered = [share.offer(frame(picture, sequence), 1.0) for sequence in range(10)]
    assert [path is not None for path in offered] == [True] * MAX_WAITING + [False] * 6
    assert len(list(tmp_path.iterdir())) == MAX_WAITING


def test_nothing_is_shared_that_was_not_asked_for(tmp_path: Path) -> None:
    share = FrameShare(tmp_path)
    assert share.offer(frame(np.zeros((4, 4, 3), np.uint8)), 0.0) is None


def test_a_folder_that_takes_nothing_costs_the_sharing_and_no_verdict(tmp_path: Path) -> None:
    share = FrameShare(tmp_path / "share")
    (tmp_path / "share").rmdir()
    assert share.offer(frame(np.zeros((4, 4, 3), np.uint8)), 1.0) is None


def _pickle(path: Path) -> None:
    np.save(path, np.array([{"an": "object"}]), allow_pickle=True)


def _promise_too_much(path: Path) -> None:
    with path.open("wb") as file:
        shape = (1_000_000, 1_000_000, 3)
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)


def _be_huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(MAX_PIXELS * 3 + 1_000_000)


@pytest.mark.parametrize(
    "lay",
    [
        _pickle,
        _promise_too_much,
        _be_huge,
        lambda path: path.write_bytes(b"no array"),
        lambda path: path.write_bytes(b""),
        lambda path: np.save(path, np.zeros((4, 4), np.uint8)),
        lambda path: np.save(path, np.zeros((4, 4, 3), np.float32)),
        lambda path: np.save(path, np.zeros((0, 4, 3), np.uint8)),
        lambda path: None,
    ],
)
def test_what_is_no_picture_is_refused_and_removed(tmp_path: Path, lay: Any) -> None:
    path = tmp_path / "cam-1.npy"
    lay(path)
    with pytest.raises(BadInput):
        take_shared(order(path), tmp_path)
    assert not path.exists()


def test_a_file_outside_the_share_folder_is_neither_read_nor_removed(tmp_path: Path) -> None:
    folder, stranger = tmp_path / "share", tmp_path / "stranger.npy"
    folder.mkdir()
    np.save(stranger, np.zeros((4, 4, 3), np.uint8))
    link = folder / "link.npy"
    link.symlink_to(stranger)
    for path in (stranger, folder / ".." / "stranger.npy", link):
        with pytest.raises(BadInput, match="share folder"):
            take_shared(order(path), folder)
    assert stranger.exists()


def test_frames_are_shared_from_the_moment_it_is_asked_for(
    start: Start, tmp_path: Path, pictures: Path
) -> None:
    child = start({"share_dir": str(tmp_path / "share")})
    assert child.wait_for(FrameDone).shared_path is None
    child.tell(ShareFrames(share=1).to_json().decode())
    done = child.wait_for(FrameDone, lambda done: done.shared_path is not None)
    assert done.shared_path is not None
    judged = take_shared(order(Path(done.shared_path)), tmp_path / "share")
    np.testing.assert_array_equal(judged.picture, read_picture(pictures / done.result.source))


def judge(child: Child, path: Path) -> FrameJudged:
    child.tell(order(path).to_json().decode())
    return child.wait_for(FrameJudged, lambda judged: judged.path == str(path))


def test_a_paused_child_judges_what_another_has_shared(start: Start, tmp_path: Path) -> None:
    folder = tmp_path / "share"
    child = start({"share_dir": str(folder), "paused": True, "cameras": ()})
    child.wait_for(Ready)
    path = FrameShare(folder).offer(frame(np.full((60, 80, 3), 9, np.uint8)), 1.0)
    assert path is not None
    result = judge(child, path).result
    assert result is not None
    assert (result.camera, result.sequence, result.source) == ("cam", 3, "3.png")
    assert (result.width, result.height, result.verdict) == (80, 60, VerdictWord.PASS)
    beat = child.wait_for(Heartbeat)
    assert (beat.captured, beat.done) == (0, 0)  # nobody's statistics


def test_a_frame_that_cannot_be_read_is_answered_and_the_child_lives_on(
    start: Start, tmp_path: Path
) -> None:
    child = start({"share_dir": str(tmp_path / "share"), "paused": True})
    child.wait_for(Ready)
    assert judge(child, tmp_path / "share" / "gone.npy").result is None
    assert judge(child, Path("/etc/passwd")).result is None
    child.command("resume")
    child.wait_for(FrameDone)


def test_a_model_that_fails_on_a_shared_frame_says_so(start: Start, tmp_path: Path) -> None:
    folder = tmp_path / "share"
    child = start({"share_dir": str(folder), "paused": True}, nan_from_run=1)
    child.wait_for(Ready)
    path = FrameShare(folder).offer(frame(np.zeros((8, 8, 3), np.uint8)), 1.0)
    assert path is not None
    result = judge(child, path).result
    assert result is not None
    assert result.verdict is VerdictWord.FAIL
    assert result.fault == "not_finite"
