"""Cameras: the state is the newest frame's, the event is the edge."""

from __future__ import annotations

from datetime import datetime, timezone

from device_agent.cameras import LOST_AFTER_S, Cameras
from inference_core.contract.device import DeviceConfig
from inference_core.contract.serve import Camera, FrameLost
from tests.agent.test_small_parts import frame

NOW = datetime(2026, 11, 22, tzinfo=timezone.utc)


def line(*names: str, address: str = "rtsp://10.0.0.7/") -> DeviceConfig:
    cameras = (Camera(name=name, address=address) for name in names or ("top", "side", "back"))
    return DeviceConfig(cameras=tuple(cameras))


def lost(camera: str, cause: str = "no_input") -> FrameLost:
    return FrameLost(camera=camera, cause=cause, detail="no route to host", captured_at=NOW)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_each_camera_is_told_by_its_newest_frame() -> None:
    cameras = Cameras(line, Clock())
    cameras.take(frame("top", NOW))
    cameras.take(lost("side", "corrupt_image"))
    assert cameras.states() == {
        "top": "ok",
        "side": "corrupt_image",
        "back": "unknown",
    }


def test_a_lost_camera_is_told_once_and_once_again_when_it_is_back() -> None:
    clock = Clock()
    cameras = Cameras(line, clock)
    cameras.take(lost("top"))
    assert cameras.edges() == []
    clock.now += LOST_AFTER_S
    (event,) = cameras.edges()
    assert (event.name, event.detail) == ("camera-lost", "top: no_input: no route to host")
    cameras.take(lost("top"))
    clock.now += 3600
    assert cameras.edges() == []
    cameras.take(frame("top", NOW))
    assert [(event.name, event.detail) for event in cameras.edges()] == [("camera-back", "top")]
    assert cameras.edges() == []


def test_one_torn_frame_is_no_event() -> None:
    clock = Clock()
    cameras = Cameras(line, clock)
    for _ in range(20):
        cameras.take(lost("top", "corrupt_image"))
        clock.now += LOST_AFTER_S / 2
        assert cameras.edges() == []
        cameras.take(frame("top", NOW))
        clock.now += LOST_AFTER_S / 2
        assert cameras.edges() == []


def test_a_frame_that_came_too_late_does_not_blame_the_camera() -> None:
    clock = Clock()
    cameras = Cameras(line, clock)
    cameras.take(lost("top", "too_late"))
    clock.now += 10
    assert cameras.edges() == []
    assert cameras.states()["top"] == "too_late"


def test_a_camera_that_nobody_heard_of_for_a_while_is_unknown() -> None:
    clock = Clock()
    cameras = Cameras(line, clock)
    cameras.take(frame("top", NOW))
    clock.now += 61
    assert cameras.states()["top"] == "unknown"


def test_a_camera_that_was_taken_away_is_forgotten_with_its_state() -> None:
    clock, names = Clock(), ["top", "side"]
    cameras = Cameras(lambda: line(*names), clock)
    cameras.take(lost("top"))
    names.remove("top")
    assert cameras.states() == {"side": "unknown"}
    clock.now += 10
    assert cameras.edges() == []


def test_a_line_at_rest_blames_no_camera() -> None:
    clock = Clock()
    cameras = Cameras(lambda: line("top", address="trigger://127.0.0.1:9100/"), clock)
    cameras.take(frame("top", NOW))
    cameras.take(lost("top"))
    clock.now += 10
    assert cameras.edges() == []
    assert cameras.states() == {"top": "unknown"}
    cameras.take(lost("top", "corrupt_image"))
    assert cameras.states() == {"top": "corrupt_image"}
