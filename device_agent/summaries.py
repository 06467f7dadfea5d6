"""Frames to mergeable statistics, by hour, camera and release."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import NamedTuple

from inference_core.contract.histogram import ExponentialHistogram
from inference_core.contract.serve import FrameDone, FrameLost
from inference_core.contract.telemetry import Summary


class _Key(NamedTuple):
    hour: datetime
    camera: str
    release_sha256: str


@dataclass
class _Tally:
    frames: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    latency_ms: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))


class Summaries:
    """Counts between two flushes; every flush is a delta that the server merges."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tallies: defaultdict[_Key, _Tally] = defaultdict(_Tally)

    def add(self, release_sha256: str, event: FrameDone | FrameLost) -> None:
        """Count one frame."""
        with self._lock:
            if isinstance(event, FrameLost):
                key = _Key(_hour(event.captured_at), event.camera, release_sha256)
                self._tallies[key].lost[event.cause] += 1
                return
            result = event.result
            tally = self._tallies[_Key(_hour(result.captured_at), result.camera, release_sha256)]
            tally.frames += 1
            tally.verdicts[result.verdict] += 1
            if result.fault:
                tally.faults[result.fault] += 1
            tally.latency_ms["total"].append(result.latency_ms)
            for stage in result.stages:
                tally.latency_ms[stage.stage].append(stage.latency_ms.total)

    def flush(self) -> list[Summary]:
        """Everything since the last flush."""
        with self._lock:
            tallies, self._tallies = self._tallies, defaultdict(_Tally)
        return [_summarise(key, tally) for key, tally in sorted(tallies.items())]


def _summarise(key: _Key, tally: _Tally) -> Summary:
    return Summary.model_validate(
        {
            **key._asdict(),
            "frames": tally.frames,
            "verdicts": dict(tally.verdicts),
            "lost": dict(tally.lost),
            "faults": dict(tally.faults),
            "latency_ms": {
                stage: ExponentialHistogram.of(values) for stage, values in tally.latency_ms.items()
            },
        }
    )


def _hour(moment: datetime) -> datetime:
    return moment.astimezone(timezone.utc).replace(minute=0, second=0, microsecond=0)
