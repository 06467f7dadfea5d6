"""A pipeline: its stages look at a frame, its rules judge the part."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone

import numpy as np

from inference_core.contract.pipeline import PipelineSpec, Stage
from inference_core.contract.results import FrameResult
from inference_core.contract.words import VerdictWord
from inference_core.errors import BadInput, CoreError, LoadFailed, NotFinite
from inference_core.pipeline.findings import present
from inference_core.pipeline.frames import Frame
from inference_core.pipeline.models import LoadedModel
from inference_core.pipeline.rules import check_rules, find_failures
from inference_core.pipeline.stages import Outcome, attempt, look, to_ms

_log = logging.getLogger(__name__)


class Pipeline:
    """Judges one frame at a time; not thread-safe, as its sessions are not."""

    def __init__(self, spec: PipelineSpec, models: Mapping[str, LoadedModel]) -> None:
        absent = sorted(spec.models - set(models))
        if absent:
            raise BadInput(f"pipeline {spec.pipeline} needs the models {', '.join(absent)}")
        self.spec = spec
        self._models = dict(models)
        self._decoders = {stage.id: models[stage.model].manifest.decoder for stage in spec.stages}
        problems = check_rules(spec, self._decoders)
        if problems:
            raise BadInput(f"pipeline {spec.pipeline}: {'; '.join(problems)}")

    def warm_up(self) -> None:
        """One run on a black picture, so that the first part pays for nothing.

        Raises ``LoadFailed`` where a model and its manifest do not work together. Figures that
        are not finite are left to the frames: a model may be fine on all but a blank picture.
        """
        frame = _blank_frame()
        for stage in self.spec.stages:
            _warm_up(stage, self._models[stage.model], frame)

    def judge(self, frame: Frame) -> FrameResult:
        """The verdict with all that led to it. Never raises for what a model does.

        A fault of any stage is FAIL with its reason; the rules are then not asked, because
        what they would be asked about is not known.
        """
        outcomes = [attempt(stage, self._models[stage.model], frame) for stage in self.spec.stages]
        complaints = tuple(outcome.complaint for outcome in outcomes if outcome.complaint)
        reasons = complaints or self._find_failures(outcomes, frame)
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
            stages=tuple(outcome.result for outcome in outcomes),
            latency_ms=to_ms(time.perf_counter() - frame.read_from_s),
            budget_ms=self.spec.budget_ms,
        )

    def close(self) -> None:
        """Gives the memory of all models back."""
        for model in self._models.values():
            model.session.close()

    def _find_failures(self, outcomes: Sequence[Outcome], frame: Frame) -> tuple[str, ...]:
        findings = {
            outcome.result.stage: present(
                outcome.result, self._decoders[outcome.result.stage], frame.mm_per_px
            )
            for outcome in outcomes
        }
        return find_failures(self.spec, findings)


def _warm_up(stage: Stage, model: LoadedModel, frame: Frame) -> None:
    try:
        look(stage, model, frame)
    except NotFinite as error:
        _log.warning("stage %s at warm-up: %s", stage.id, error)
    except CoreError as error:
        raise LoadFailed(f"stage {stage.id!r} fails at warm-up: {error}") from error


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
