"""One stage on one frame: prepare, infer, decode, each with its own time."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from inference_core.contract.pipeline import Stage
from inference_core.contract.results import StageLatency, StageResult
from inference_core.contract.words import FailureCause
from inference_core.decode.lookup import decode
from inference_core.errors import CoreError
from inference_core.image import Preparer
from inference_core.pipeline.follow import Following, Turn
from inference_core.pipeline.frames import Frame
from inference_core.pipeline.models import LoadedModel
from inference_core.pipeline.stopwatch import Stopwatch, to_ms
from inference_core.pipeline.views import View, check_limits, join, place, see_crops, see_whole
from inference_core.results import Found, StageFields
from inference_core.runtimes.base import Array, check_outputs
from inference_core.tiling import merge_found, plan_tiles

_log = logging.getLogger(__name__)

Infer = Callable[[Mapping[str, Array]], dict[str, Array]]
"""From the inputs of one model to its outputs; ``Session.run`` is one."""


@dataclass(frozen=True)
class Outcome:
    """A stage's result, and the sentence about its fault if it has one."""

    result: StageResult
    complaint: str | None = None


class StageRunner:
    """A stage with buffers of its own: one frame at a time, not thread-safe."""

    def __init__(
        self, stage: Stage, model: LoadedModel, infer: Infer, following: Following | None
    ) -> None:
        self._stage = stage
        self._manifest = model.manifest
        self._input = model.manifest.inputs[0].name
        self._infer = infer
        self._following = following
        self._preparer = Preparer(model.manifest)

    def attempt(self, frame: Frame, earlier: StageResult | None, turn: Turn) -> Outcome:
        """What the model finds; ``earlier`` is the result that the stage crops from.

        A fault becomes part of the result: the frame is judged all the same. ``turn`` is for
        frames that overlap: they are followed in order.
        """
        begun = time.perf_counter()
        try:
            return Outcome(self._look(frame, earlier, turn))
        except MemoryError:
            raise  # the process is at its end, not the frame
        except CoreError as error:
            _log.warning("stage %s on %s: %s", self._stage.id, frame.source, error)
            return self._fault(begun, error.cause, str(error))
        except Exception as error:  # noqa: BLE001 whatever a model provokes fails its part only
            _log.exception("stage %s on %s", self._stage.id, frame.source)
            return self._fault(begun, FailureCause.OTHER, f"{type(error).__name__}: {error}")

    def warm_up(self, frame: Frame) -> None:
        """One run on the frame, also of a stage that would have nothing to look at there.

        Raises ``CoreError``.
        """
        self._look_at_one(see_whole(self._stage, frame), Stopwatch())

    def _look(self, frame: Frame, earlier: StageResult | None, turn: Turn) -> StageResult:
        watch = Stopwatch()
        if self._stage.crops_of is not None and earlier is not None:
            founds = self._look_at(see_crops(frame, earlier), watch)
            fields = join([found.to_fields(frame.mm_per_px) for found in founds])
        else:
            fields = self._read(self._look_at_frame(frame, watch), frame, turn, watch)
        check_limits(self._stage, fields)
        watch.has_decoded()
        return StageResult(stage=self._stage.id, **fields, latency_ms=watch.read())

    def _look_at_frame(self, frame: Frame, watch: Stopwatch) -> Found:
        if self._stage.tiles is None:
            return self._look_at_one(see_whole(self._stage, frame), watch)
        height, width = frame.picture.shape[:2]
        tiles = plan_tiles((width, height), self._stage.tiles, self._stage.region)
        parts = [(tile, self._look_at_one(View(frame.picture, tile), watch)) for tile in tiles]
        return merge_found(parts, self._manifest.decoder)

    def _read(self, found: Found, frame: Frame, turn: Turn, watch: Stopwatch) -> StageFields:
        if self._following is None:
            return found.to_fields(frame.mm_per_px)
        with turn(watch):
            return self._following.follow(found, frame)

    def _look_at(self, views: Iterable[View], watch: Stopwatch) -> list[Found]:
        """One after the other: the views of a frame share the tensor of the stage."""
        return [self._look_at_one(view, watch) for view in views]

    def _look_at_one(self, view: View, watch: Stopwatch) -> Found:
        prepared = self._preparer.prepare(view.picture, view.window)
        watch.has_prepared()
        outputs = self._infer({self._input: prepared.tensor})
        watch.has_inferred()
        check_outputs(outputs, self._manifest.outputs)
        found = place(decode(outputs, self._manifest, prepared.transform), view)
        watch.has_decoded()
        return found

    def _fault(self, begun: float, cause: FailureCause, detail: str) -> Outcome:
        total = to_ms(time.perf_counter() - begun)
        latency = StageLatency(preprocess=0, infer=0, postprocess=0, total=total)
        result = StageResult(stage=self._stage.id, latency_ms=latency, fault=cause)
        return Outcome(result, f"stage {self._stage.id!r} failed: {detail}"[:500])
