"""A pipeline: its stages look at a frame, its rules judge the part."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from datetime import datetime, timezone
from types import MappingProxyType

import numpy as np

from inference_core.contract.pipeline import PipelineSpec, Stage
from inference_core.contract.results import FrameResult, StageResult
from inference_core.contract.words import VerdictWord
from inference_core.errors import BadInput, CoreError, LoadFailed, NotFinite
from inference_core.pipeline.checks import check_pipeline
from inference_core.pipeline.findings import Findings, find_nothing, present
from inference_core.pipeline.follow import Following, Turn, no_turn
from inference_core.pipeline.frames import Frame
from inference_core.pipeline.models import LoadedModel
from inference_core.pipeline.rules import find_failures, must_escalate
from inference_core.pipeline.stages import Infer, Outcome, StageRunner
from inference_core.pipeline.stopwatch import to_ms

_log = logging.getLogger(__name__)

Turns = Mapping[str, Turn]
"""By the id of a stage that tracks."""

NO_TURNS: Turns = MappingProxyType({})


Inferences = Mapping[str, Infer]
"""By the name of the model."""


class Slot:
    """What one frame at a time needs on its way through a pipeline: buffers of its own."""

    def __init__(self, pipeline: Pipeline, infer: Inferences | None = None) -> None:
        models = pipeline.models
        ways = infer or {name: model.session.run for name, model in models.items()}
        self.runners = {
            stage.id: StageRunner(
                stage, models[stage.model], ways[stage.model], pipeline.following.get(stage.id)
            )
            for stage in pipeline.spec.stages
        }


class Pipeline:
    """Judges frames. Not thread-safe but for ``judge`` with a slot for each thread."""

    def __init__(self, spec: PipelineSpec, models: Mapping[str, LoadedModel]) -> None:
        absent = sorted(spec.models - set(models))
        if absent:
            raise BadInput(f"pipeline {spec.pipeline} needs the models {', '.join(absent)}")
        self.spec = spec
        self.models = {name: models[name] for name in sorted(spec.models)}
        self._decoders = {stage.id: models[stage.model].manifest.decoder for stage in spec.stages}
        problems = check_pipeline(spec, self._decoders)
        if problems:
            raise BadInput(f"pipeline {spec.pipeline}: {'; '.join(problems)}")
        self.following = {
            stage.id: Following(stage.track) for stage in spec.stages if stage.track is not None
        }
        self._stages = {stage.id: stage for stage in spec.stages}
        self._slot = Slot(self)

    def warm_up(self) -> None:
        """One run on a black picture, so that the first part pays for nothing.

        Raises ``LoadFailed`` where a model and its manifest do not work together. Figures that
        are not finite are left to the frames: a model may be fine on all but a blank picture.
        """
        frame = _blank_frame()
        for name, runner in self._slot.runners.items():
            _warm_up(name, runner, frame)

    def judge(self, frame: Frame, slot: Slot | None = None, turns: Turns = NO_TURNS) -> FrameResult:
        """The verdict with all that led to it. Never raises for what a model does.

        A fault of any stage is FAIL with its reason; the rules are then not asked, because
        what they would be asked about is not known.
        """
        seen: dict[str, Outcome] = {}
        for stage in self.spec.stages:
            seen[stage.id] = self._run(stage, frame, seen, slot or self._slot, turns)
        complaints = tuple(outcome.complaint for outcome in seen.values() if outcome.complaint)
        reasons = complaints or self._find_failures(frame, seen)
        height, width = frame.picture.shape[:2]
        return FrameResult(
            camera=frame.camera,
            sequence=frame.sequence,
            source=frame.source,
            captured_at=frame.captured_at,
            width=width,
            height=height,
            verdict=VerdictWord.FAIL if reasons else VerdictWord.PASS,
            reasons=reasons,
            stages=tuple(outcome.result for outcome in seen.values()),
            latency_ms=to_ms(time.perf_counter() - frame.read_from_s),
            budget_ms=self.spec.budget_ms,
        )

    def close(self) -> None:
        """Gives the memory of all models back."""
        for model in self.models.values():
            model.session.close()

    def _run(
        self, stage: Stage, frame: Frame, seen: Mapping[str, Outcome], slot: Slot, turns: Turns
    ) -> Outcome:
        if self._may_skip(stage, frame, seen):
            return Outcome(find_nothing(stage, skipped=True))
        earlier = None if stage.crops_of is None else seen[stage.crops_of].result
        turn = turns.get(stage.id, no_turn)
        return slot.runners[stage.id].attempt(frame, earlier, turn)

    def _may_skip(self, stage: Stage, frame: Frame, seen: Mapping[str, Outcome]) -> bool:
        """Whether an earlier stage was sure enough, or has nothing to be cut out.

        A stage that was skipped has nothing to add, so what waits for its word is skipped too.
        """
        if stage.crops_of is not None:
            source = seen[stage.crops_of].result
            if source.skipped or source.fault is not None:
                return True
        decider = self._stages[stage.after] if stage.after is not None else None
        if decider is None or decider.escalate_when is None:
            return False
        decided = seen[decider.id].result
        if decided.skipped or decided.fault is not None:
            return decided.skipped  # after a fault the part fails; all that can be known is shown
        return not must_escalate(decider, self._present(decided, frame))

    def _find_failures(self, frame: Frame, seen: Mapping[str, Outcome]) -> tuple[str, ...]:
        findings = {name: self._present(outcome.result, frame) for name, outcome in seen.items()}
        return find_failures(self.spec, findings)

    def _present(self, result: StageResult, frame: Frame) -> Findings:
        stage = self._stages[result.stage]
        return present(stage, result, self._decoders[stage.id], frame.mm_per_px)


def _warm_up(name: str, runner: StageRunner, frame: Frame) -> None:
    try:
        runner.warm_up(frame)
    except NotFinite as error:
        _log.warning("stage %s at warm-up: %s", name, error)
    except CoreError as error:
        raise LoadFailed(f"stage {name!r} fails at warm-up: {error}") from error


def _blank_frame() -> Frame:
    return Frame(
        camera="warm-up",
        sequence=0,
        source="warm-up",
        captured_at=datetime.now(timezone.utc),
        read_from_s=time.perf_counter(),
        picture=np.zeros((480, 640, 3), np.uint8),
        mm_per_px=1.0,
    )
