"""Two versions of a model on the same labelled pictures, in turns."""

from __future__ import annotations

import platform
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from inference_core.contract.build import LatencyFigures
from inference_core.contract.compare import (
    ComparedPicture,
    CompareFigures,
    CompareJob,
    CompareSide,
    Judged,
    RightCounts,
)
from inference_core.contract.manifest import ModelManifest
from inference_core.contract.words import RuntimeName
from inference_core.datasets import Dataset, Sample, read_dataset
from inference_core.decode.lookup import decode, require_finite
from inference_core.errors import BadInput
from inference_core.image import prepare, read_picture
from inference_core.metrics import measure_slices
from inference_core.optimize.judges import Judge, Reading, make_judge
from inference_core.optimize.judges.places import PlacesReading
from inference_core.optimize.right import is_right
from inference_core.optimize.truth import make_stage, read_truth
from inference_core.runtimes.base import Array, Session, SessionOptions
from inference_core.runtimes.lookup import get_runtime

WARM_UP_PICTURES = 3
Tell = Callable[[float, str], None]
Keep = Callable[[ComparedPicture], None]


@dataclass
class _Side:
    """One version: loaded, and what it said so far."""

    session: Session
    manifest: ModelManifest
    judge: Judge
    readings: list[Reading] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(getattr(self.manifest.decoder, "labels", ()))

    def look(self, sample: Sample, picture: Array) -> Judged:
        """Run once; the reading is kept."""
        prepared = prepare(picture, self.manifest)
        inputs = {self.manifest.inputs[0].name: prepared.tensor}
        started = time.perf_counter()
        outputs = self.session.run(inputs)
        self.milliseconds.append((time.perf_counter() - started) * 1e3)
        for name, output in outputs.items():
            require_finite(name, output)
        reading = self.judge.read(sample, prepared, outputs)
        self.readings.append(reading)
        found = decode(outputs, self.manifest, prepared.transform)
        return Judged(
            answer=reading.answer[:1000],
            score=reading.score,
            is_right=is_right(
                self.judge.metric, reading, getattr(self.manifest.decoder, "background", None)
            ),
            found=make_stage("found", **found.to_fields()),
        )


def compare_versions(job: CompareJob, tell: Tell, keep: Keep) -> CompareFigures:
    """The figures; ``keep`` gets each picture. Raises ``BadInput``, ``DatasetError``, NotFinite."""
    dataset = read_dataset(Path(job.dataset_dir))
    if dataset.sha256 != job.dataset_sha256:
        raise BadInput("the dataset is not the one that was asked for")
    tell(0.0, "loading both versions")
    sides = (_load(job.a, job.threads), _load(job.b, job.threads))
    if sides[0].judge.metric != sides[1].judge.metric:
        raise BadInput("the two versions are for different tasks")
    pictures = []
    for number, sample in enumerate(dataset.samples):
        pictures.append(_compare(sides, sample, number))
        keep(pictures[-1])
        tell((number + 1) / len(dataset.samples), f"picture {number + 1}")
    return _summarise(sides, pictures, dataset)


def _load(side: CompareSide, threads: int) -> _Side:
    from inference_core.commands.loading import resolve_from_file

    path = Path(side.model_path)
    manifest = resolve_from_file(side.manifest, path)
    runtime = get_runtime(RuntimeName.ONNXRUNTIME)
    session = runtime.load(path, manifest, SessionOptions(threads=threads))
    return _Side(session, manifest, make_judge(manifest))


def _compare(sides: tuple[_Side, _Side], sample: Sample, number: int) -> ComparedPicture:
    """The order turns, so that neither always finds the caches warm."""
    picture = read_picture(sample.image)
    first, second = sides if number % 2 == 0 else sides[::-1]
    judged = [first.look(sample, picture), second.look(sample, picture)]
    a, b = judged if number % 2 == 0 else judged[::-1]
    truth = read_truth(sample, sides[0].judge.metric, sides[0].manifest)
    return ComparedPicture(
        image=sample.name,
        image_sha256=sample.image_sha256,
        width=picture.shape[1],
        height=picture.shape[0],
        label=truth.words,
        classes=truth.classes,
        truth=truth.shapes,
        a=a,
        b=b,
        agrees=_agree(*sides),
    )


def _agree(a: _Side, b: _Side) -> bool:
    ours, theirs = a.readings[-1], b.readings[-1]
    if isinstance(ours, PlacesReading) and a.labels != b.labels:
        return ours.answer == theirs.answer  # their classes are numbered differently
    return ours.agrees_with(theirs)


def _summarise(
    sides: tuple[_Side, _Side], pictures: list[ComparedPicture], dataset: Dataset
) -> CompareFigures:
    a, b = sides
    wrong = Counter((one.a.is_right, one.b.is_right) for one in pictures)
    return CompareFigures(
        metric=a.judge.metric,
        images=len(pictures),
        a=a.judge.measure(a.readings) or 0.0,
        b=b.judge.measure(b.readings) or 0.0,
        per_class=_pair(*(side.judge.measure_classes(side.readings) for side in sides)),
        per_slice=_pair(*(_slices(side, dataset) for side in sides)),
        right=_count(pictures),
        right_per_class=_count_classes(pictures),
        only_a_wrong=wrong[False, True],
        only_b_wrong=wrong[True, False],
        both_wrong=wrong[False, False],
        disagree=sum(not one.agrees for one in pictures),
        score_shift=sum(one.b.score - one.a.score for one in pictures) / len(pictures),
        latency_a=_latency(a.milliseconds),
        latency_b=_latency(b.milliseconds),
        toolchain=_toolchain(),
    )


def _pair(a: Mapping[str, float], b: Mapping[str, float]) -> dict[str, tuple[float, float]]:
    """What one side cannot have, it never finds."""
    return {name: (a.get(name, 0.0), b.get(name, 0.0)) for name in dict.fromkeys([*a, *b])}


def _slices(side: _Side, dataset: Dataset) -> dict[str, float]:
    slices = [sample.slices for sample in dataset.samples]
    figures = measure_slices(side.readings, slices, side.judge.measure)
    return {name: one.value for name, one in figures.items() if one.value is not None}


def _count(pictures: list[ComparedPicture]) -> RightCounts:
    return RightCounts(
        pictures=len(pictures),
        a=sum(one.a.is_right for one in pictures),
        b=sum(one.b.is_right for one in pictures),
    )


def _count_classes(pictures: list[ComparedPicture]) -> dict[str, RightCounts]:
    groups: dict[str, list[ComparedPicture]] = defaultdict(list)
    for one in pictures:
        for label in one.classes:
            groups[label].append(one)
    return {label: _count(group) for label, group in sorted(groups.items())}


def _latency(milliseconds: list[float]) -> LatencyFigures:
    """Without the first pictures, in which memory is still being found."""
    warm = milliseconds[WARM_UP_PICTURES:] or milliseconds
    p50, p95 = np.percentile(warm, [50, 95]).tolist()
    return LatencyFigures(p50_ms=round(p50, 3), p95_ms=round(p95, 3), runs=len(warm))


def _toolchain() -> dict[str, str]:
    import onnxruntime

    return {"onnxruntime": str(onnxruntime.__version__), "machine": platform.machine()}
