"""Where a cascade should escalate: what the light model may keep, and what that saves."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from itertools import pairwise

import numpy as np

from inference_core.contract.pipeline import PipelineSpec, Stage
from inference_core.contract.results import FrameResult, StageResult
from inference_core.datasets import Dataset, Sample
from inference_core.errors import BadInput
from inference_core.image import prepare, read_picture
from inference_core.optimize.judges import Judge, Reading, make_judge
from inference_core.pipeline.findings import present
from inference_core.pipeline.frames import Frame
from inference_core.pipeline.graph import Pipeline
from inference_core.pipeline.models import LoadedModel

_MAX_THRESHOLDS = 100
Tick = Callable[[], None]


@dataclass(frozen=True)
class Point:
    """One threshold: the light stage escalates where its confidence lies below."""

    threshold: float
    escalated: float
    """e, share of the pictures that the heavy stage sees too."""
    metric: float
    ideal_speed_up: float
    """1 / (r + e), over the heavy stage alone."""


@dataclass(frozen=True)
class CascadePlan:
    """The cheapest threshold that keeps the floor, and what it gives when it is really run."""

    metric: str
    light_metric: float
    heavy_metric: float
    floor: float
    """The metric that must be kept: a share of the heavy model's."""
    cost_ratio: float
    """r, time of the light stage / time of the heavy one, medians."""
    points: tuple[Point, ...]
    chosen: Point | None
    """None where no threshold below "always escalate" keeps the floor."""
    speed_up: float | None
    """Measured end to end, the heavy stage alone / the cascade, in turns."""


def plan_cascade(
    spec: PipelineSpec,
    models: Mapping[str, LoadedModel],
    labelled: Dataset,
    floor_share: float,
    tick: Tick = lambda: None,
) -> CascadePlan:
    """Measures both stages on every picture, then the chosen cascade itself.

    Raises ``BadInput`` for a pipeline that is no cascade of two models with the same labels, and
    ``DatasetError`` where the labels cannot judge them.
    """
    light, heavy = _find_stages(spec, models)
    looks = {stage.id: _look_at_all(stage, models, labelled, tick) for stage in (light, heavy)}
    judge = make_judge(models[heavy.model].manifest)
    r = _median(looks[light.id]) / _median(looks[heavy.id])
    points = _find_points(looks[light.id], looks[heavy.id], judge, r)
    heavy_metric = _measure(judge, [look.reading for look in looks[heavy.id]])
    floor = floor_share * heavy_metric
    kept = [point for point in points if point.metric >= floor and point.escalated < 1]
    chosen = min(kept, key=lambda point: point.escalated, default=None)
    speed_up = None
    if chosen is not None:
        cascade = _make_cascade(spec, models, chosen.threshold)
        alone = Pipeline(_alone(heavy), {heavy.model: models[heavy.model]})
        speed_up = _race(cascade, alone, labelled, tick)
    return CascadePlan(
        metric=judge.metric,
        light_metric=_measure(judge, [look.reading for look in looks[light.id]]),
        heavy_metric=heavy_metric,
        floor=floor,
        cost_ratio=round(r, 4),
        points=points,
        chosen=chosen,
        speed_up=speed_up,
    )


@dataclass(frozen=True)
class _Look:
    """What one model made of one picture."""

    reading: Reading
    confidence: float
    taken_ms: float


def _find_stages(spec: PipelineSpec, models: Mapping[str, LoadedModel]) -> tuple[Stage, Stage]:
    if len(spec.stages) != 2 or spec.stages[0].escalate_when is None:
        raise BadInput(
            f"pipeline {spec.pipeline} is no cascade: it takes two stages, the first with "
            "escalate_when, and the second after it"
        )
    light, heavy = spec.stages
    if heavy.after != light.id:
        raise BadInput(f"stage {heavy.id!r} does not come after {light.id!r}")
    names = [getattr(models[stage.model].manifest.decoder, "labels", None) for stage in spec.stages]
    if names[0] != names[1]:
        raise BadInput(f"{light.model} and {heavy.model} do not have the same labels")
    return light, heavy


def _look_at_all(
    stage: Stage, models: Mapping[str, LoadedModel], labelled: Dataset, tick: Tick
) -> list[_Look]:
    model = models[stage.model]
    alone = Pipeline(_alone(stage), {stage.model: model})
    alone.warm_up()
    judge = make_judge(model.manifest)
    looks = []
    for sample in labelled.samples:
        looks.append(_look(stage, model, alone, judge, sample))
        tick()
    return looks


def _look(stage: Stage, model: LoadedModel, alone: Pipeline, judge: Judge, sample: Sample) -> _Look:
    picture = read_picture(sample.image)
    prepared = prepare(picture, model.manifest, stage.region)
    outputs = model.session.run({model.manifest.inputs[0].name: prepared.tensor})
    reading = judge.read(sample, prepared, outputs)
    (result,) = _judge(alone, sample).stages
    return _Look(reading, _read_confidence(stage, model, result), result.latency_ms.total)


def _read_confidence(stage: Stage, model: LoadedModel, result: StageResult) -> float:
    findings = present(stage, result, model.manifest.decoder, None)
    try:
        return float(getattr(findings, "confidence"))  # noqa: B009 not every kind answers it
    except AttributeError as error:
        raise BadInput(
            f"stage {stage.id!r} has no confidence that a threshold could be laid on; "
            "a cascade is planned for classifiers"
        ) from error


def _find_points(
    light: Sequence[_Look], heavy: Sequence[_Look], judge: Judge, r: float
) -> tuple[Point, ...]:
    confidences = sorted({look.confidence for look in light})
    between = [(low + high) / 2 for low, high in pairwise(confidences)]
    thresholds = [0.0, *between, 1.0 + 1e-6]
    step = max(len(thresholds) // _MAX_THRESHOLDS, 1)
    points = []
    for threshold in [*thresholds[:-1:step], thresholds[-1]]:
        escalates = [look.confidence < threshold for look in light]
        e = sum(escalates) / len(escalates)
        readings = [
            (above if up else below).reading
            for below, above, up in zip(light, heavy, escalates, strict=True)
        ]
        points.append(
            Point(round(threshold, 6), e, _measure(judge, readings), round(1 / (r + e), 4))
        )
    return tuple(points)


def _make_cascade(
    spec: PipelineSpec, models: Mapping[str, LoadedModel], threshold: float
) -> Pipeline:
    light, heavy = spec.stages
    deciding = light.model_copy(update={"escalate_when": f"confidence < {threshold}"})
    return Pipeline(spec.model_copy(update={"stages": (deciding, heavy)}), models)


def _race(cascade: Pipeline, alone: Pipeline, labelled: Dataset, tick: Tick) -> float:
    """Total time of one over the other, in turns over all pictures, each read before."""
    cascade_ms = alone_ms = 0.0
    for number, sample in enumerate(labelled.samples):
        if number % 2:
            cascade_ms += _judge(cascade, sample).latency_ms
        alone_ms += _judge(alone, sample).latency_ms
        if not number % 2:
            cascade_ms += _judge(cascade, sample).latency_ms
        tick()
    return round(alone_ms / cascade_ms, 4)


def _alone(stage: Stage) -> PipelineSpec:
    freed = stage.model_copy(update={"after": None, "escalate_when": None})
    document = {"pipeline": "alone", "rules": [{"fail": "False", "because": "measured only"}]}
    return PipelineSpec.model_validate({**document, "stages": [freed.model_dump()]})


def _judge(pipeline: Pipeline, sample: Sample) -> FrameResult:
    picture = read_picture(sample.image)
    frame = Frame("bench", 0, sample.name, datetime.now(timezone.utc), 0.0, picture)
    result = pipeline.judge(replace(frame, read_from_s=time.perf_counter()))
    if result.fault is not None:
        raise BadInput(f"a model breaks on {sample.name}: {'; '.join(result.reasons)}")
    return result


def _measure(judge: Judge, readings: Sequence[Reading]) -> float:
    value = judge.measure(readings)
    if value is None:
        raise BadInput(f"these pictures do not tell the {judge.metric}")
    return value


def _median(looks: Sequence[_Look]) -> float:
    return float(np.median([look.taken_ms for look in looks]))
