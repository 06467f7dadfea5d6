"""Latency of whole pipelines, stage by stage, measured in turns so that all share the weather."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from inference_core.contract.results import FrameResult
from inference_core.errors import InferenceFailed
from inference_core.pipeline.frames import Frame
from inference_core.pipeline.graph import Pipeline

_WARM_UP_ROUNDS = 3
_PARTS = ("preprocess", "infer", "postprocess", "total")


@dataclass(frozen=True)
class Spread:
    """Milliseconds."""

    p50_ms: float
    p95_ms: float
    p99_ms: float


@dataclass(frozen=True)
class Measured:
    """One pipeline: picture in memory to verdict, one frame at a time."""

    frames_per_s: float
    """The mean, one frame after the other; overlapped it is more."""
    end_to_end: Spread
    stages: dict[str, dict[str, Spread]]
    """By stage and by part: preprocess, infer, postprocess, total. Frames it skipped count not."""


def measure(
    pipelines: Mapping[str, Pipeline],
    frames: Sequence[Frame],
    runs: int,
    tick: Callable[[], None] = lambda: None,
) -> dict[str, Measured]:
    """Every round shows each pipeline one frame, the same for all; the order turns.

    Raises ``InferenceFailed`` where a model breaks: a fault is fast, and tells nothing.
    """
    samples: dict[str, list[tuple[float, FrameResult]]] = {name: [] for name in pipelines}
    names = list(pipelines)
    for number in range(-_WARM_UP_ROUNDS, runs):
        frame = frames[number % len(frames)]
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            sample = _judge(name, pipelines[name], frame)
            if number >= 0:
                samples[name].append(sample)
        tick()
    return {name: _summarise(taken) for name, taken in samples.items()}


def _judge(name: str, pipeline: Pipeline, frame: Frame) -> tuple[float, FrameResult]:
    begun = time.perf_counter()
    result = pipeline.judge(replace(frame, read_from_s=begun))
    taken_ms = (time.perf_counter() - begun) * 1e3
    if result.fault is not None:
        raise InferenceFailed(f"{name} breaks on {frame.source}: {'; '.join(result.reasons)}")
    return taken_ms, result


def _summarise(samples: Sequence[tuple[float, FrameResult]]) -> Measured:
    taken: dict[tuple[str, str], list[float]] = defaultdict(list)
    for _, result in samples:
        for stage in result.stages:
            for part in _PARTS if not stage.skipped else ():
                taken[stage.stage, part].append(getattr(stage.latency_ms, part))
    stages: dict[str, dict[str, Spread]] = defaultdict(dict)
    for (stage_id, part), milliseconds in taken.items():
        stages[stage_id][part] = spread(milliseconds)
    whole = [milliseconds for milliseconds, _ in samples]
    return Measured(
        frames_per_s=round(1e3 / float(np.mean(whole)), 2),
        end_to_end=spread(whole),
        stages=dict(stages),
    )


def spread(milliseconds: Iterable[float]) -> Spread:
    """Median and tails."""
    p50, p95, p99 = np.percentile(list(milliseconds), [50, 95, 99]).tolist()
    return Spread(round(p50, 3), round(p95, 3), round(p99, 3))
