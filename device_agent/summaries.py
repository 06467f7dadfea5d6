"""Frames to mergeable statistics, by hour, camera and release."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import NamedTuple

from inference_core.contract.histogram import ExponentialHistogram
from inference_core.contract.results import BoxResult, ClassResult, RegionResult, StageResult
from inference_core.contract.serve import FrameDone, FrameLost
from inference_core.contract.signals import PictureQuality, ShareHistogram, Signals
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
    confidence: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    qualities: list[PictureQuality] = field(default_factory=list)


class Summaries:
    """Counts between two flushes; every flush is a delta that the server merges."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tallies: defaultdict[_Key, _Tally] = defaultdict(_Tally)

    def add(self, release_sha256: str, event: FrameDone | FrameLost) -> None:
        """Count one frame."""
        with self._lock:
            if isinstance(event, FrameLost):
                key = _Key(hour_of(event.captured_at), event.camera, release_sha256)
                self._tallies[key].lost[event.cause] += 1
                return
            result = event.result
            tally = self._tallies[_Key(hour_of(result.captured_at), result.camera, release_sha256)]
            tally.frames += 1
            tally.verdicts[result.verdict] += 1
            if result.fault:
                tally.faults[result.fault] += 1
            tally.latency_ms["total"].append(result.latency_ms)
            for stage in result.stages:
                tally.latency_ms[stage.stage].append(stage.latency_ms.total)
                _add_confidence(tally, stage)
            if result.quality is not None:
                tally.qualities.append(result.quality)

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
            "signals": _measure_signals(tally),
        }
    )


def _add_confidence(tally: _Tally, stage: StageResult) -> None:
    """A classifier's first answer is its prediction; the others are what it did not say."""
    said: list[BoxResult | RegionResult | ClassResult] = [*stage.boxes, *stage.regions]
    said += stage.classes[:1]
    for found in said:
        # A sum of probabilities may leave 0 to 1 by a rounding.
        tally.confidence[found.label].append(min(max(found.score, 0.0), 1.0))


def _measure_signals(tally: _Tally) -> Signals | None:
    """None where nothing was measured, as from a child that knows of no signals."""
    if not tally.confidence and not tally.qualities:
        return None
    return Signals(
        confidence={
            label: ShareHistogram.of(scores) for label, scores in sorted(tally.confidence.items())
        },
        luma=ShareHistogram.of(quality.luma for quality in tally.qualities),
        clipped_share=ShareHistogram.of(quality.clipped_share for quality in tally.qualities),
        sharpness=ExponentialHistogram.of(quality.sharpness for quality in tally.qualities),
    )


def hour_of(moment: datetime) -> datetime:
    """The UTC hour that a moment lies in."""
    return moment.astimezone(timezone.utc).replace(minute=0, second=0, microsecond=0)
