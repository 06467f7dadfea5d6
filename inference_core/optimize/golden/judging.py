"""One pass over all cases: with the reference models, or with the artifacts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from inference_core.contract.golden import PipelineJob
from inference_core.contract.results import FrameResult
from inference_core.contract.serve import Camera
from inference_core.contract.words import RuntimeName, VerdictWord
from inference_core.optimize.golden.cases import Batch
from inference_core.optimize.golden.words import describe_stage
from inference_core.pipeline.graph import Pipeline
from inference_core.pipeline.models import LoadedModel, load_model
from inference_core.pipeline.sources import read_frame
from inference_core.runtimes.base import SessionOptions

Models = Mapping[str, LoadedModel]
_FRAMES_PER_S = 10.0
"""Pictures of a set follow each other like frames: what tracks sees the same both times."""


@dataclass(frozen=True)
class Judged:
    """What became of one picture in one pass."""

    verdict: VerdictWord
    reasons: tuple[str, ...]
    found: dict[str, str]
    """In words, by the id of the stage."""
    is_fault: bool
    latency_ms: float


@contextmanager
def reference_models(job: PipelineJob) -> Iterator[Models]:
    """The sources as they were uploaded, on ONNX Runtime. Raises ``LoadFailed``."""
    options = SessionOptions(threads=job.profile.threads)
    with _closing(
        {
            name: load_model(
                Path(model.source_path), model.source_manifest, RuntimeName.ONNXRUNTIME, options
            )
            for name, model in job.models.items()
        }
    ) as models:
        yield models


@contextmanager
def artifact_models(job: PipelineJob) -> Iterator[Models]:
    """The certified artifacts on the profile's runtime, as a device loads them."""
    options = SessionOptions(threads=job.profile.threads, compute_device=job.profile.compute_device)
    with _closing(
        {
            name: load_model(
                Path(model.artifact_path), model.artifact_manifest, job.profile.runtime, options
            )
            for name, model in job.models.items()
        }
    ) as models:
        yield models


def judge(
    batches: Sequence[Batch],
    models: Models,
    mm_per_px: float | None,
    has_judged: Callable[[int], None],
) -> list[Judged]:
    """Every case in order; ``has_judged`` is told how many are done.

    Raises ``LoadFailed`` where the models do not fit the pipeline, ``BadInput`` for a picture
    that cannot be read. What a model does with a picture is in the result.
    """
    done: list[Judged] = []
    for batch in batches:
        pipeline = Pipeline(batch.spec, models)
        pipeline.warm_up()
        camera = Camera(name="golden", address="file:///", mm_per_px=mm_per_px)
        for number, sample in enumerate(batch.samples):
            frame = read_frame(sample.image, camera, number)
            frame = replace(frame, captured_s=number / _FRAMES_PER_S)
            done.append(_distil(pipeline.judge(frame)))
            has_judged(len(done))
    return done


def _distil(result: FrameResult) -> Judged:
    return Judged(
        verdict=result.verdict,
        reasons=result.reasons,
        found={stage.stage: describe_stage(stage) for stage in result.stages},
        is_fault=result.fault is not None,
        latency_ms=result.latency_ms,
    )


@contextmanager
def _closing(models: Models) -> Iterator[Models]:
    try:
        yield models
    finally:
        for model in models.values():
            model.session.close()
