"""Latency of candidates, measured in turns so that a drifting machine is fair to all."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TypeVar

import numpy as np

from inference_core.contract.build import LatencyFigures
from inference_core.runtimes.base import Array, Session

Name = TypeVar("Name")

_WARM_UP_RUNS = 3


def bench(
    sessions: Mapping[Name, Session], inputs: Mapping[str, Array], runs: int
) -> dict[Name, LatencyFigures]:
    """p50 and p95 of ``runs`` warm runs of each session; every round runs each of them once.

    The order turns with the round: who comes second finds other caches than who comes first.
    """
    for session in sessions.values():
        for _ in range(_WARM_UP_RUNS):
            session.run(inputs)
    samples: dict[Name, list[float]] = {name: [] for name in sessions}
    names = list(sessions)
    for number in range(runs):
        turn = number % max(len(names), 1)
        for name in names[turn:] + names[:turn]:
            samples[name].append(_time_ms(sessions[name], inputs))
    return {name: _summarise(milliseconds) for name, milliseconds in samples.items()}


def _time_ms(session: Session, inputs: Mapping[str, Array]) -> float:
    started = time.perf_counter()
    session.run(inputs)
    return (time.perf_counter() - started) * 1e3


def _summarise(milliseconds: list[float]) -> LatencyFigures:
    p50, p95 = np.percentile(milliseconds, [50, 95]).tolist()
    return LatencyFigures(p50_ms=round(p50, 3), p95_ms=round(p95, 3), runs=len(milliseconds))
