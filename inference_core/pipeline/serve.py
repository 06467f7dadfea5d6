"""The inference child: cameras in turn, a verdict a frame, events to the agent."""

from __future__ import annotations

import logging
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from inference_core.contract.results import FrameResult
from inference_core.contract.serve import (
    Fatal,
    FrameDone,
    FrameJudged,
    FrameLost,
    JudgeFrame,
    Ready,
    ServeJob,
)
from inference_core.contract.words import FailureCause
from inference_core.errors import BadInput, CoreError, LoadFailed
from inference_core.memory import measure_rss_bytes
from inference_core.pipeline.frames import Frame
from inference_core.pipeline.graph import Pipeline
from inference_core.pipeline.models import LoadedModel, load_model
from inference_core.pipeline.pulse import Counts, Pulse
from inference_core.pipeline.sampling import Sampler
from inference_core.pipeline.sharing import FrameShare, take_shared
from inference_core.pipeline.sinks import SinkGroup, open_sinks
from inference_core.pipeline.sources import Source, open_source
from inference_core.pipeline.spool import Spool
from inference_core.pipeline.wire import STDIN, Control, EventStream, listen
from inference_core.runtimes.base import SessionOptions
from inference_core.signals.quality import measure_quality

_log = logging.getLogger(__name__)
_LONGEST_NAP_S = 0.5
_LONGEST_FAREWELL_S = 3.0
"""An agent waits a little longer than this before it kills."""


@dataclass(frozen=True)
class Line:
    """A camera, and whoever wants to know of its verdicts."""

    source: Source
    sinks: SinkGroup

    def close(self) -> None:
        """Delivers what the sinks still hold, then lets go of the camera."""
        self.sinks.close(_LONGEST_FAREWELL_S / 2)
        self.source.close()


class Server:
    """Runs a ``ServeJob`` until it is told to stop."""

    def __init__(self, job: ServeJob, events: EventStream) -> None:
        self._job = job
        self._events = events
        self._counts = Counts()
        self._control = Control(paused=job.paused)
        self._pulse = Pulse(events, self._counts, self._control, job.heartbeat_s)
        self._nap_s = min(job.heartbeat_s / 2, _LONGEST_NAP_S)
        self._share: FrameShare | None = None

    def run(self) -> int:
        """Loads, says ``Ready``, judges frames. 0 when told to stop, 1 after ``Fatal``."""
        self._obey_signals()
        listen(STDIN, self._control)
        self._pulse.start()
        try:
            self._judge_until_stopped(self._load())
        except CoreError as error:
            return self._give_up(error.cause, str(error))
        except MemoryError as error:
            return self._give_up(FailureCause.OUT_OF_MEMORY, f"out of memory: {error}")
        except Exception as error:  # noqa: BLE001 the agent must hear of it before the end
            _log.exception("the frame loop ended")
            return self._give_up(FailureCause.OTHER, f"{type(error).__name__}: {error}")
        finally:
            self._pulse.stop()
        return 0

    def _obey_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._control.stop())

    def _load(self) -> Pipeline:
        begun = time.perf_counter()
        release = self._job.release
        try:
            models = {name: self._load_model(name) for name in release.artifacts}
            pipeline = Pipeline(release.pipeline, models)
        except BadInput as error:
            raise LoadFailed(str(error)) from error
        pipeline.warm_up()
        load_ms = (time.perf_counter() - begun) * 1000
        self._events.emit(
            Ready(
                release_sha256=self._job.release_sha256,
                load_ms=round(load_ms, 1),
                rss_bytes=measure_rss_bytes(),
            )
        )
        return pipeline

    def _load_model(self, name: str) -> LoadedModel:
        artifact = self._job.release.artifacts[name]
        path = self._job.artifacts.get(name)
        if path is None:
            raise LoadFailed(f"the job gives no file for the model {name!r}")
        options = SessionOptions(threads=self._job.threads, compute_device=artifact.compute_device)
        return load_model(Path(path), artifact.manifest, artifact.runtime, options)

    def _judge_until_stopped(self, pipeline: Pipeline) -> None:
        """One camera after the other, each frame as soon as it can be judged.

        Frames do not overlap here: a part waits for its verdict, and two at once would each take
        longer. Live cameras read in threads of their own, where the latest frame wins.
        """
        lines = [
            Line(open_source(camera), open_sinks(camera.sinks)) for camera in self._job.cameras
        ]
        spool = self._open_spool()
        if self._job.share_dir is not None:
            self._share = FrameShare(Path(self._job.share_dir))
        try:
            while not self._control.is_stopping:
                self._pulse.tick()
                line = None if self._control.is_paused else _pick_due(lines)
                if line is not None:
                    self._serve(line, pipeline, spool)
                elif wanted := self._control.next_to_judge():  # cameras first: parts wait for them
                    self._judge_shared(wanted, pipeline)
                else:
                    self._control.wait(self._nap(lines))
        finally:
            _close(lines)
        pipeline.close()

    def _serve(self, line: Line, pipeline: Pipeline, spool: Spool | None) -> None:
        self._counts.captured += 1
        taken = line.source.take()
        if isinstance(taken, FrameLost):
            self._counts.lost += 1
            self._events.emit(taken)
        else:
            self._judge(taken, line, pipeline, spool)

    def _judge(self, frame: Frame, line: Line, pipeline: Pipeline, spool: Spool | None) -> None:
        result = pipeline.judge(frame)
        line.sinks.write(frame, result)  # first: a PLC may be waiting to let the part go
        rates = self._control.sample_rates
        sample = spool.offer(frame.picture, result, rates) if spool else None
        measured = result.model_copy(update={"quality": measure_quality(frame.picture)})
        shared = self._share.offer(frame, self._control.share) if self._share else None
        self._counts.done += 1
        self._events.emit(
            FrameDone(
                result=measured,
                sample_path=str(sample.path) if sample and sample.path else None,
                sample=sample.draw if sample else None,
                shared_path=None if shared is None else str(shared),
            )
        )

    def _judge_shared(self, wanted: JudgeFrame, pipeline: Pipeline) -> None:
        """For the agent to compare: it counts in nobody's statistics, and no sink hears of it."""
        result: FrameResult | None = None
        try:
            frame = self._take_shared(wanted)
            result = pipeline.judge(frame).model_copy(update={"camera": wanted.camera})
        except BadInput as error:
            _log.warning("a shared frame is not judged: %s", error)
        self._events.emit(FrameJudged(path=wanted.path, result=result))

    def _take_shared(self, wanted: JudgeFrame) -> Frame:
        if self._job.share_dir is None:
            raise BadInput("the job gives no share folder")
        return take_shared(wanted, Path(self._job.share_dir))

    def _nap(self, lines: list[Line]) -> float:
        """Until a frame is due, but short enough to tick for the next heartbeat."""
        if self._control.is_paused or not lines:
            return self._nap_s
        until_due_s = min(line.source.due_s for line in lines) - time.monotonic()
        return min(max(until_due_s, 0.0), self._nap_s)

    def _open_spool(self) -> Spool | None:
        if self._job.spool_dir is None:
            return None
        return Spool(Path(self._job.spool_dir), Sampler(self._job))

    def _give_up(self, cause: FailureCause, detail: str) -> int:
        self._events.emit(Fatal(cause=cause, detail=detail[:2000]))
        return 1


def _pick_due(lines: list[Line]) -> Line | None:
    """The one that has waited longest, so a fast camera cannot starve a slow one."""
    now_s = time.monotonic()
    due = [(line.source.due_s, line) for line in lines]
    return min(
        (entry for entry in due if entry[0] <= now_s),
        key=lambda entry: entry[0],
        default=(0.0, None),
    )[1]


def _close(lines: list[Line]) -> None:
    """All at once; a camera that hangs in its driver is left behind with its thread."""
    closers = [threading.Thread(target=line.close, daemon=True) for line in lines]
    for closer in closers:
        closer.start()
    deadline_s = time.monotonic() + _LONGEST_FAREWELL_S
    for closer in closers:
        closer.join(max(deadline_s - time.monotonic(), 0.0))
