"""Chooses among the candidates that kept parity: the fastest, then the smaller."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from inference_core.contract.build import Candidate, LatencyFigures, ParityFigures
from inference_core.contract.words import Precision, RuntimeName
from inference_core.optimize.parity import describe_share


@dataclass
class Trial:
    """One candidate on its way through the build; ``refusal`` set means it is out."""

    precision: Precision
    path: Path
    runtime: RuntimeName | None = None
    """Only where a build tries several."""
    failure: Literal["refused", "failed"] | None = None
    refusal: str = ""
    parity: ParityFigures | None = None
    latency: LatencyFigures | None = None
    size_bytes: int | None = None
    peak_memory_bytes: int | None = None

    def give_up(self, failure: Literal["refused", "failed"], reason: str) -> None:
        """Take the candidate out, for a reason that a person can read."""
        self.failure, self.refusal = failure, reason

    @property
    def name(self) -> str:
        """For people, and unlike that of any other trial of the build."""
        return f"{self.precision} on {self.runtime}" if self.runtime else str(self.precision)

    @property
    def is_eligible(self) -> bool:
        """Whether it kept parity and was measured."""
        return self.failure is None and self.latency is not None and self.parity is not None


def choose(trials: Sequence[Trial]) -> Trial | None:
    """The eligible trial with the lowest p50 latency; None where there is none."""
    return min((t for t in trials if t.is_eligible), key=_cost, default=None)


def report(trials: Sequence[Trial], chosen: Trial | None) -> tuple[Candidate, ...]:
    """What became of each trial, in the order they were tried."""
    return tuple(_candidate(trial, chosen) for trial in trials)


def _cost(trial: Trial) -> tuple[float, int]:
    if trial.latency is None:
        raise ValueError(f"{trial.name} was not measured")
    return trial.latency.p50_ms, trial.size_bytes or 0


def _candidate(trial: Trial, chosen: Trial | None) -> Candidate:
    return Candidate(
        precision=trial.precision,
        runtime=trial.runtime,
        outcome=trial.failure or ("chosen" if trial is chosen else "slower"),
        reason=trial.refusal or _explain(trial, chosen),
        parity=trial.parity,
        latency=trial.latency,
        size_bytes=trial.size_bytes,
        peak_memory_bytes=trial.peak_memory_bytes,
    )


def _explain(trial: Trial, chosen: Trial | None) -> str:
    if trial.parity is None or trial.latency is None or chosen is None or chosen.latency is None:
        return f"{trial.name} was not measured"
    kept = describe_share(trial.name, trial.parity)
    mine, best = trial.latency.p50_ms, chosen.latency.p50_ms
    if trial is chosen:
        return f"{kept} at {mine:.1f} ms, and none that kept parity was faster"
    return f"{kept}, but took {mine:.1f} ms where {chosen.name} took {best:.1f} ms"
