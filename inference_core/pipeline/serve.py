"""The inference child: cameras in turn, a verdict a frame, events to the agent."""

from __future__ import annotations

import logging
import signal
import time
from pathlib import Path

from inference_core.contract.serve import Fatal, FrameDone, FrameLost, Ready, ServeJob
from inference_core.contract.words import FailureCause
from inference_core.errors import BadInput, CoreError, LoadFailed
from inference_core.memory import measure_rss_bytes
from inference_core.pipeline.frames import Frame
from inference_core.pipeline.graph import Pipeline
from inference_core.pipeline.models import LoadedModel, load_model
from inference_core.pipeline.pulse import Counts, Pulse
from inference_core.pipeline.sources import Source, open_source
from inference_core.pipeline.spool import Spool
from inference_core.pipeline.wire import STDIN, Control, EventStream, listen
from inference_core.runtimes.base import SessionOptions

_log = logging.getLogger(__name__)
_LONGEST_NAP_S = 0.5


class Server:
    """Runs a ``ServeJob`` until it is told to stop."""

    def __init__(self, job: ServeJob, events: EventStream) -> None:
        self._job = job
        self._events = events
        self._counts = Counts()
        self._control = Control(paused=job.paused)
        self._pulse = Pulse(events, self._counts, self._control, job.heartbeat_s)
        self._nap_s = min(job.heartbeat_s / 2, _LONGEST_NAP_S)

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
            signal.signal(number, lambda *_: self._control.obey("stop"))

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
        options = SessionOptions(threads=self._job.threads)
        return load_model(Path(path), artifact.manifest, artifact.runtime, options)

    def _judge_until_stopped(self, pipeline: Pipeline) -> None:
        sources = [open_source(camera) for camera in self._job.cameras]
        spool = self._open_spool()
        while not self._control.is_stopping:
            self._pulse.tick()
            source = None if self._control.is_paused else _pick_due(sources)
            if source is None:
                self._control.wait(self._nap(sources))
            else:
                self._serve(source, pipeline, spool)
        pipeline.close()

    def _serve(self, source: Source, pipeline: Pipeline, spool: Spool | None) -> None:
        self._counts.captured += 1
        taken = source.take()
        if isinstance(taken, FrameLost):
            self._counts.lost += 1
            self._events.emit(taken)
        else:
            self._judge(taken, pipeline, spool)

    def _judge(self, frame: Frame, pipeline: Pipeline, spool: Spool | None) -> None:
        result = pipeline.judge(frame)
        sample = spool.offer(frame.picture, result) if spool else None
        self._counts.done += 1
        self._events.emit(
            FrameDone(result=result, sample_path=None if sample is None else str(sample))
        )

    def _nap(self, sources: list[Source]) -> float:
        """Until a frame is due, but short enough to tick for the next heartbeat."""
        if self._control.is_paused or not sources:
            return self._nap_s
        until_due_s = min(source.due_s for source in sources) - time.monotonic()
        return min(max(until_due_s, 0.0), self._nap_s)

    def _open_spool(self) -> Spool | None:
        if self._job.spool_dir is None:
            return None
        return Spool(Path(self._job.spool_dir), self._job.sample_every_s)

    def _give_up(self, cause: FailureCause, detail: str) -> int:
        self._events.emit(Fatal(cause=cause, detail=detail[:2000]))
        return 1


def _pick_due(sources: list[Source]) -> Source | None:
    """The source that has waited longest, so a fast camera cannot starve a slow one."""
    now_s = time.monotonic()
    return min(
        (source for source in sources if source.due_s <= now_s),
        key=lambda source: source.due_s,
        default=None,
    )
