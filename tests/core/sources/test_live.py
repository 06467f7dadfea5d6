"""A camera over real sockets: the newest picture, exact books, and it may go and come back."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timezone

import numpy as np
import pytest

from inference_core.contract.addresses import redact
from inference_core.contract.serve import Camera, FrameLost
from inference_core.pipeline.frames import Frame
from inference_core.pipeline.sources import BrokenSource, LiveSource, open_source
from inference_core.pipeline.sources.base import Backoff
from inference_core.pipeline.sources.latest import Latest
from inference_core.pipeline.sources.live import _Pace

from .cameras import MjpegCamera, is_frame, is_no_input, read_number, take_until


def at(address: str, frames_per_s: float = 1000) -> Camera:
    return Camera(name="side", address=address, frames_per_s=frames_per_s)


def balance(source: LiveSource) -> None:
    """The books agree with each other at any moment."""
    books = source.ledger
    assert books.captured == books.taken + sum(books.dropped.values()) + books.waiting


@pytest.fixture
def camera() -> Iterator[MjpegCamera]:
    camera = MjpegCamera()
    yield camera
    camera.switch_off()


def test_a_camera_shows_pictures_with_the_time_of_their_capture(camera: MjpegCamera) -> None:
    with closing(open_source(at(camera.address))) as source:
        assert source.is_live
        frames = []
        while len(frames) < 5:
            frames += filter(is_frame, take_until(source, is_frame))
            assert isinstance(source, LiveSource)
            balance(source)
    assert frames[0].picture.shape == (48, 64, 3)
    times_s = [frame.captured_s for frame in frames]
    assert times_s == sorted(times_s)
    assert times_s[-1] <= time.monotonic()
    assert [frame.sequence for frame in frames] == sorted({frame.sequence for frame in frames})


def test_the_latest_frame_wins_and_the_others_are_told_as_too_late(camera: MjpegCamera) -> None:
    with closing(LiveSource(at(camera.address))) as source:
        # A slow start tells of some with the first frame; ten more come after it.
        enough = len(take_until(source, is_frame)) - 1 + 10
        deadline_s = time.monotonic() + 20
        while source.ledger.dropped["too_late"] < enough and time.monotonic() < deadline_s:
            time.sleep(0.01)
        balance(source)
        taken = take_until(source, is_frame)
        balance(source)
    late, frame = taken[:-1], taken[-1]
    assert len(late) >= 10
    assert all(isinstance(lost, FrameLost) and lost.cause == "too_late" for lost in late)
    assert isinstance(frame, Frame)
    assert frame.sequence >= len(late)


def test_what_was_captured_is_what_was_told(camera: MjpegCamera) -> None:
    with closing(LiveSource(at(camera.address))) as source:
        told = [source.take() for _ in range(40)]
    books = source.ledger
    assert sum(isinstance(item, Frame) for item in told) == books.taken
    assert books.captured - books.waiting == books.taken + sum(books.dropped.values())


def test_a_camera_that_goes_away_is_no_input_and_is_found_again() -> None:
    camera = MjpegCamera()
    backoff = Backoff(first_s=0.05, longest_s=0.2)
    with closing(LiveSource(at(camera.address), backoff)) as source:
        take_until(source, is_frame)
        camera.switch_off()
        lost = take_until(source, is_no_input)[-1]
        assert "stopped" in lost.detail or "answer" in lost.detail
        again = MjpegCamera(port=camera.port)
        frame = take_until(source, is_frame)[-1]
        balance(source)
        again.switch_off()
    assert isinstance(frame, Frame)
    assert again.viewers == 1


def test_a_lost_camera_is_logged_once_and_once_when_it_is_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    camera = MjpegCamera()
    camera.switch_off()
    with (
        caplog.at_level(logging.WARNING),
        closing(LiveSource(at(camera.address), Backoff(0.02, 0.05))) as source,
    ):
        for _ in range(3):
            take_until(source, is_no_input)
        again = MjpegCamera(port=camera.port)
        take_until(source, is_frame)
        again.switch_off()
    about = [record.getMessage() for record in caplog.records if "side" in record.getMessage()]
    assert len(about) <= 3  # lost, back, and lost again as this test ends
    assert "shows pictures again" in about[1]


def test_no_secret_of_an_address_is_shown_anywhere() -> None:
    """In a process of its own, because FFmpeg and OpenCV write past Python's streams."""
    script = (
        "import logging, sys\n"
        "logging.basicConfig(level=logging.DEBUG)\n"
        "from inference_core.contract.serve import Camera\n"
        "from inference_core.pipeline.sources import open_source\n"
        "for address in sys.argv[1:]:\n"
        "    source = open_source(Camera(name='side', address=address))\n"
        "    print(source.take().detail)\n"
        "    source.close()\n"
    )
    addresses = [
        f"{scheme}://admin:s3cret-word@127.0.0.1:9/live/password=s3cret-word?token=s3cret-word"
        for scheme in ("http", "rtsp", "gopher")
    ]
    addresses.append("trigger://admin:s3cret-word@0.0.0.0/?token=s3cret-word")
    addresses.append("http://admin:s3cret-word@[::1")
    done = subprocess.run(
        [sys.executable, "-c", script, *addresses],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(addresses)
    assert "s3cret-word" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://10.0.0.5/live", "rtsp://10.0.0.5/live"),
        ("rtsp://admin:p@ss/w@10.0.0.5:554/live", "rtsp://***@10.0.0.5:554/live"),
        ("http://cam/x?user=a&pw=b", "http://cam/x?user=***&pw=***"),
        ("rtsp://cam/user=a&password=b&channel=1", "rtsp://cam/user=a&password=***&channel=1"),
        ("admin:secret@host", "***@host"),
        ("rtsp://admin:secret@cam/x?from=http://b", "rtsp://***@cam/x?from=***"),
        ("rtsp://admin:p://w@cam/x", "rtsp://***@cam/x"),
        ("file:///var/pictures", "file:///var/pictures"),
    ],
)
def test_an_address_is_shown_without_its_secrets(address: str, shown: str) -> None:
    assert redact(address) == shown


@pytest.mark.parametrize("address", ["rtsp:///live", "http://", "v4l2://video0", "v4l2:///etc/x"])
def test_an_address_without_a_camera_is_refused_at_once(address: str) -> None:
    assert isinstance(open_source(at(address)), BrokenSource)


def test_a_device_that_is_not_there_is_no_input() -> None:
    with closing(LiveSource(at("v4l2:///dev/video-of-nobody"))) as source:
        assert is_no_input(source.take())


def test_waits_grow_stay_bounded_and_differ() -> None:
    backoff = Backoff(first_s=1.0, longest_s=8.0)
    waits_s = [backoff.next_s() for _ in range(7)]
    bases_s = [1, 2, 4, 8, 8, 8, 8]
    assert all(0.8 * b <= w <= 1.2 * b for w, b in zip(waits_s, bases_s, strict=True))
    assert len(set(waits_s)) == 7
    backoff.reset()
    assert backoff.next_s() <= 1.2


@pytest.mark.parametrize(("camera_fps", "wanted", "expected"), [(25, 25, 25), (30, 10, 10)])
def test_the_pace_is_the_wanted_one_and_never_half_of_it(
    camera_fps: float, wanted: float, expected: float
) -> None:
    pace = _Pace(wanted)
    times_s = [index / camera_fps + (-1) ** index * 0.002 for index in range(camera_fps * 10)]
    assert sum(pace.is_due(100 + time_s) for time_s in times_s) == pytest.approx(
        10 * expected, abs=1
    )


def a_frame(sequence: int) -> Frame:
    picture = np.zeros((2, 2, 3), np.uint8)
    return Frame("side", sequence, "cam", datetime.now(timezone.utc), 0.0, picture)


def a_loss(cause: str) -> FrameLost:
    return FrameLost.model_validate(
        {"camera": "side", "cause": cause, "detail": "", "captured_at": 0}
    )


def test_nothing_is_captured_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A paused line asks for no frames; what would have to be told must not pile up."""
    latest = Latest(at("http://cam/"))
    monkeypatch.setattr("inference_core.pipeline.sources.latest.PATIENCE_S", -1.0)
    assert not latest.put(a_loss("corrupt_image"))
    assert latest.read_ledger().captured == 0


def test_after_a_pause_no_part_of_before_it_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    latest = Latest(at("http://cam/"))
    old = a_frame(0)
    assert latest.put(old)
    monkeypatch.setattr("inference_core.pipeline.sources.latest.PATIENCE_S", -1.0)
    assert not latest.put(old)
    told = latest.take(0)
    assert isinstance(told, FrameLost)
    assert told.cause == "too_late"
    assert latest.take(0) is None
    assert latest.read_ledger().dropped == {"too_late": 1}


def test_a_camera_that_stopped_stopped_after_its_last_frame() -> None:
    """Told the other way round, the lost camera would look well again."""
    latest = Latest(at("http://cam/"))
    frame, stopped = a_frame(0), a_loss("no_input")
    assert latest.put(frame)
    latest.tell(stopped)
    assert [latest.take(0), latest.take(0)] == [frame, stopped]


def test_what_comes_is_told_in_its_order() -> None:
    latest = Latest(at("http://cam/"))
    stopped, corrupt, newest = a_loss("no_input"), a_loss("corrupt_image"), a_frame(1)
    assert latest.put(a_frame(0))
    latest.tell(a_loss("no_input"))
    latest.tell(stopped)  # of several in a row the newest is enough
    assert latest.put(corrupt)
    assert latest.put(newest)
    late, *others = [latest.take(0) for _ in range(4)]
    assert isinstance(late, FrameLost)
    assert late.cause == "too_late"
    assert others == [stopped, corrupt, newest]
    books = latest.read_ledger()
    assert (books.captured, books.taken, books.waiting) == (3, 1, 0)
    assert books.dropped == {"too_late": 1, "corrupt_image": 1}


def test_the_number_of_a_picture_can_be_read(camera: MjpegCamera) -> None:
    with closing(LiveSource(at(camera.address))) as source:
        frame = take_until(source, is_frame)[-1]
    assert isinstance(frame, Frame)
    assert 0 <= read_number(frame.picture) < 32
