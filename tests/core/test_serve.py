"""The inference child as a real process, with everything that an agent may see of it."""

from __future__ import annotations

import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
import pytest

from inference_core.contract.release import ArtifactRef, ReleaseManifest, TargetRef
from inference_core.contract.results import FrameResult
from inference_core.contract.serve import (
    SERVE_EVENT,
    Camera,
    Fatal,
    FrameDone,
    FrameJudged,
    FrameLost,
    Heartbeat,
    Ready,
    ServeJob,
)
from inference_core.contract.words import FailureCause, Precision, RuntimeName, VerdictWord
from inference_core.picture import read_picture
from inference_core.pipeline.wire import EXIT_ORPHANED
from inference_core.signals.quality import measure_quality
from tests.core.core_models import segmenter, write_fake
from tests.core.onnx_models import brightness_manifest, brightness_model, save

DIGEST = "ab" * 32
PATIENCE_S = 30
Event = Ready | FrameDone | FrameJudged | FrameLost | Heartbeat | Fatal
Kind = TypeVar("Kind", Ready, FrameDone, FrameJudged, FrameLost, Heartbeat, Fatal)


class Child:
    """A running ``infer serve`` and the events that it has sent."""

    def __init__(self, job: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "inference_core", "serve", "--job", str(job)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._lines: queue.Queue[bytes | None] = queue.Queue()
        self.stderr: list[bytes] = []
        self._readers = [
            threading.Thread(target=self._read_events, daemon=True),
            threading.Thread(target=self._read_log, daemon=True),
        ]
        for thread in self._readers:
            thread.start()

    def next_event(self, within_s: float = PATIENCE_S) -> Event:
        line = self._lines.get(timeout=within_s)
        if line is None:
            raise EOFError(b"".join(self.stderr).decode())
        return SERVE_EVENT.validate_json(line)

    def next_event_or_none(self, within_s: float) -> Event | None:
        try:
            return self.next_event(within_s)
        except queue.Empty:
            return None

    def wait_for(self, kind: type[Kind], where: Callable[[Kind], bool] = lambda _: True) -> Kind:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            event = self.next_event()
            if isinstance(event, kind) and where(event):
                return event
        raise TimeoutError(kind)

    def rest(self) -> list[Event]:
        events = []
        while (line := self._lines.get(timeout=PATIENCE_S)) is not None:
            events.append(SERVE_EVENT.validate_json(line))
        return events

    def tell(self, text: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(text.encode() + b"\n")
        self.process.stdin.flush()

    def command(self, word: str) -> None:
        self.tell(json.dumps({"command": word}))

    def exit_code(self) -> int:
        return self.process.wait(PATIENCE_S)

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE_S)
        for thread in self._readers:
            thread.join(PATIENCE_S)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert stream
            if not stream.closed:
                stream.close()

    def _read_events(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def _read_log(self) -> None:
        assert self.process.stderr
        self.stderr.extend(self.process.stderr)


Start = Callable[..., Child]


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("1.png", "3.png"):
        cv2.imwrite(str(folder / name), np.full((60, 80, 3), 128, np.uint8))
    return folder


@pytest.fixture
def start(tmp_path: Path, pictures: Path) -> Iterator[Start]:
    """Starts a child with a fake model that behaves as told."""
    children = []

    def start_child(job: dict[str, Any] | None = None, **behaviour: Any) -> Child:
        path = tmp_path / "job.json"
        path.write_bytes(make_job(tmp_path, pictures, behaviour, job or {}).to_json())
        children.append(Child(path))
        return children[-1]

    yield start_child
    for child in children:
        child.end()


def make_job(
    folder: Path, pictures: Path, behaviour: dict[str, Any], changes: dict[str, Any]
) -> ServeJob:
    target = TargetRef(path="p/artifacts/a", sha256=DIGEST, length=1)
    artifact = ArtifactRef(
        target=target,
        certificate=target,
        source_sha256=DIGEST,
        runtime=RuntimeName.FAKE,
        precision=Precision.FP32,
        peak_memory_bytes=0,
        manifest=segmenter(),
    )
    pipeline = {
        "pipeline": "p",
        "stages": [{"id": "defects", "model": "d"}],
        "rules": [{"fail": "defects.count('scratch') > 0", "because": "scratched"}],
    }
    release = ReleaseManifest.model_validate(
        {
            "release": "r1",
            "counter": 1,
            "profile": "test",
            "pipeline": pipeline,
            "artifacts": {"d": artifact.model_dump()},
        }
    )
    fields = {
        "release_sha256": DIGEST,
        "release": release,
        "artifacts": {"d": str(write_fake(folder, **behaviour))},
        "cameras": (Camera(name="cam", address=pictures.as_uri(), frames_per_s=100),),
        "heartbeat_s": 0.1,
        **changes,
    }
    return ServeJob.model_validate(fields)


def test_it_gets_ready_judges_in_order_and_stops_when_told(start: Start) -> None:
    child = start()
    ready = child.wait_for(Ready)
    assert ready.release_sha256 == DIGEST
    assert ready.rss_bytes > 10_000_000
    frames = [child.wait_for(FrameDone).result for _ in range(3)]
    assert [frame.sequence for frame in frames] == [0, 1, 2]
    assert [frame.source for frame in frames] == ["1.png", "3.png", "1.png"]
    assert {frame.verdict for frame in frames} == {VerdictWord.PASS}
    child.command("stop")
    assert child.exit_code() == 0
    assert not any(isinstance(event, Fatal) for event in child.rest())


def test_sigterm_ends_it_as_cleanly(start: Start) -> None:
    child = start()
    child.wait_for(FrameDone)
    child.process.send_signal(signal.SIGTERM)
    assert child.exit_code() == 0
    assert all(not isinstance(event, Fatal) for event in child.rest())


@pytest.mark.parametrize("behaviour", [{}, {"hang_at_run": 2}, {"load_s": 60}])
def test_it_leaves_when_the_agent_dies_even_while_it_hangs_or_loads(
    start: Start, behaviour: dict[str, Any]
) -> None:
    child = start(**behaviour)
    child.wait_for(Heartbeat if behaviour.get("load_s") else FrameDone)
    assert child.process.stdin
    child.process.stdin.close()
    assert child.exit_code() == EXIT_ORPHANED


def test_it_leaves_when_nobody_reads_its_events(start: Start, tmp_path: Path) -> None:
    job = make_job(tmp_path, tmp_path / "pictures", {}, {})
    (tmp_path / "job.json").write_bytes(job.to_json())
    command = [sys.executable, "-m", "inference_core", "serve", "--job", "job.json"]
    reading, writing = os.pipe()
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=writing, cwd=tmp_path, env=environment
    )
    os.close(writing)
    os.close(reading)
    try:
        assert process.wait(PATIENCE_S) == EXIT_ORPHANED
    finally:
        process.kill()
        process.communicate()


def test_pause_and_resume(start: Start) -> None:
    child = start({"paused": True})
    child.wait_for(Ready)
    beat = child.wait_for(Heartbeat, lambda beat: beat.paused)
    assert beat.captured == 0
    child.command("resume")
    child.wait_for(FrameDone)
    child.command("pause")
    first = child.wait_for(Heartbeat, lambda beat: beat.paused)
    second = child.wait_for(Heartbeat)
    assert second.captured == first.captured == first.done


def test_what_is_no_command_is_ignored(start: Start) -> None:
    child = start()
    child.wait_for(Ready)
    child.tell("nonsense")
    child.tell('{"command": "explode"}')
    child.tell("x" * 200_000)
    child.command("stop")
    assert child.exit_code() == 0
    assert b"not a command" in b"".join(child.stderr)


def test_a_corrupt_picture_is_lost_and_the_others_are_judged(start: Start, pictures: Path) -> None:
    (pictures / "2.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut short")
    child = start()
    lost = child.wait_for(FrameLost)
    assert lost.cause == "corrupt_image"
    assert child.wait_for(FrameDone).result.source == "3.png"
    beat = child.wait_for(Heartbeat, lambda beat: beat.lost > 0)
    assert beat.captured - beat.done - beat.lost in (0, 1)


def test_a_lost_camera_is_no_input_and_does_not_stop_the_others(
    start: Start, pictures: Path, tmp_path: Path
) -> None:
    cameras = (
        Camera(name="gone", address=(tmp_path / "gone").as_uri()),
        Camera(name="odd", address="rtsp://10.0.0.1/live"),
        Camera(name="cam", address=pictures.as_uri(), frames_per_s=100),
    )
    child = start({"cameras": cameras})
    lost, judged = set(), 0
    while judged < 3 or len(lost) < 2:
        event = child.next_event()
        if isinstance(event, FrameLost):
            assert event.cause == "no_input"
            lost.add(event.camera)
        judged += isinstance(event, FrameDone)
    assert lost == {"gone", "odd"}


def test_a_fast_camera_does_not_starve_a_slow_one(start: Start, pictures: Path) -> None:
    cameras = tuple(
        Camera(name=name, address=pictures.as_uri(), frames_per_s=rate)
        for name, rate in (("fast", 1000), ("slow", 20))
    )
    child = start({"cameras": cameras}, run_s=0.02)
    seen = [child.wait_for(FrameDone).result.camera for _ in range(20)]
    assert min(seen.count("fast"), seen.count("slow")) >= 5


def test_nan_is_a_failed_frame_and_the_child_lives_on(start: Start) -> None:
    child = start(nan_from_run=2)
    assert child.wait_for(FrameDone).result.fault is None
    for _ in range(2):
        result = child.wait_for(FrameDone).result
        assert result.fault is FailureCause.NOT_FINITE
        assert result.verdict is VerdictWord.FAIL
    child.command("stop")
    assert child.exit_code() == 0


def test_a_load_that_fails_is_fatal_and_says_why(start: Start) -> None:
    child = start(fail_at_load="the weights are gone")
    fatal = child.wait_for(Fatal)
    assert fatal.cause is FailureCause.LOAD_FAILED
    assert fatal.detail == "the weights are gone"
    assert child.exit_code() == 1


def test_what_was_certified_for_another_device_is_not_run_on_the_processor(
    start: Start, tmp_path: Path, pictures: Path
) -> None:
    job = make_job(tmp_path, pictures, {}, {}).model_dump()
    artifact = job["release"]["artifacts"]["d"]
    artifact.update(
        runtime="openvino", compute_device="npu", manifest=brightness_manifest().model_dump()
    )
    model = save(brightness_model(), tmp_path / "model.onnx")
    child = start({"release": job["release"], "artifacts": {"d": str(model)}})
    fatal = child.wait_for(Fatal)
    assert fatal.cause is FailureCause.LOAD_FAILED
    assert "finds no NPU here" in fatal.detail


def test_an_absent_artifact_is_fatal(start: Start, tmp_path: Path) -> None:
    child = start({"artifacts": {"d": str(tmp_path / "nothing")}})
    assert child.wait_for(Fatal).cause is FailureCause.LOAD_FAILED
    assert child.exit_code() == 1


def test_a_model_that_fails_its_warm_up_never_gets_ready(start: Start) -> None:
    child = start(fail_from_run=0)
    fatal = next(event for event in child.rest() if not isinstance(event, Heartbeat))
    assert isinstance(fatal, Fatal)
    assert fatal.cause is FailureCause.LOAD_FAILED


def test_a_child_killed_at_load_was_never_ready(start: Start) -> None:
    child = start(kill_at_load=True)
    assert child.exit_code() == -signal.SIGKILL
    assert not any(isinstance(event, (Ready, FrameDone)) for event in child.rest())


def test_a_child_killed_at_a_frame_leaves_only_whole_lines(start: Start) -> None:
    child = start(kill_at_run=3)
    assert child.exit_code() == -signal.SIGKILL
    frames = [event for event in child.rest() if isinstance(event, FrameDone)]
    assert len(frames) == 2


def test_a_long_load_is_not_silent(start: Start) -> None:
    child = start(load_s=0.6)
    events = [child.next_event() for _ in range(3)]
    assert all(isinstance(event, Heartbeat) for event in events)
    child.wait_for(Ready)


def test_a_hang_falls_silent(start: Start) -> None:
    child = start(hang_at_run=2)
    child.wait_for(FrameDone)
    # On a busy machine some beats may still come before the frame that hangs.
    events = (child.next_event_or_none(within_s=1.5) for _ in range(20))
    assert None in events  # seven intervals without a beat
    assert child.process.poll() is None


def test_a_leak_shows_in_the_heartbeats(start: Start) -> None:
    child = start(leak_bytes_per_run=5_000_000)
    ready = child.wait_for(Ready)
    child.wait_for(Heartbeat, lambda beat: beat.rss_bytes > ready.rss_bytes + 30_000_000)


def test_verdicts_go_to_the_sinks_of_the_camera_too(
    start: Start, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINEWARDEN_OUTPUT_DIR", str(tmp_path))
    told = tmp_path / "verdicts.jsonl"
    sinks = ("jsonl:///verdicts.jsonl", "carrier-pigeon://roof")
    camera = Camera(name="cam", address=pictures.as_uri(), frames_per_s=100, sinks=sinks)
    child = start({"cameras": (camera,)})
    for _ in range(3):
        child.wait_for(FrameDone)
    child.command("stop")
    assert child.exit_code() == 0
    lines = [FrameResult.model_validate_json(line) for line in told.read_bytes().splitlines()]
    assert [line.sequence for line in lines[:3]] == [0, 1, 2]
    assert b"carrier-pigeon" in b"".join(child.stderr)


def test_a_camera_that_nobody_answers_for_does_not_hold_up_the_end(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/live"
        child = start({"cameras": (Camera(name="dead", address=address),)})
        child.wait_for(Ready)
        child.wait_for(Heartbeat)
        child.command("stop")
        assert child.exit_code() == 0


def test_a_sample_is_on_disk_before_it_is_named(start: Start, tmp_path: Path) -> None:
    child = start({"spool_dir": str(tmp_path / "spool"), "sample_every_s": 3600})
    first, second = child.wait_for(FrameDone), child.wait_for(FrameDone)
    assert first.sample_path is not None
    assert cv2.imread(first.sample_path).shape == (60, 80, 3)
    assert second.sample_path is None


def test_a_frame_tells_how_its_picture_is_exposed_and_focused(start: Start, pictures: Path) -> None:
    done = start().wait_for(FrameDone)
    assert done.result.quality == measure_quality(read_picture(pictures / done.result.source))


def test_printing_does_not_corrupt_the_events(start: Start, tmp_path: Path) -> None:
    """Native libraries write to file descriptor 1 when they like; here Python does it for them."""
    script = (
        "import os, sys\n"
        "from inference_core.pipeline.wire import EventStream\n"
        "from inference_core.contract.serve import Command\n"
        "events = EventStream.capture_stdout()\n"
        "print('from Python', flush=True); os.write(1, b'from C'); os.system('echo from a shell')\n"
        "events.emit(Command(command='stop'))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert done.stdout == b'{"command":"stop"}\n'
    for said in (b"from Python", b"from C", b"from a shell"):
        assert said in done.stderr


def test_a_broken_job_is_wrong_use(tmp_path: Path) -> None:
    (tmp_path / "job.json").write_text('{"release_sha256": "x"}')
    done = subprocess.run(
        [sys.executable, "-m", "inference_core", "serve", "--job", str(tmp_path / "job.json")],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "is no ServeJob" in done.stderr
    assert done.stderr.count("\n") == 1
