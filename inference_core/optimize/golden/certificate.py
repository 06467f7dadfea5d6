"""Fills a PipelineCertificate: digests, cases, latency against the budget."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from inference_core.contract.golden import (
    CertifiedModel,
    CheckedModel,
    CheckedSet,
    PipelineCertificate,
    PipelineJob,
    PipelineLatency,
)
from inference_core.contract.words import RuntimeName
from inference_core.optimize.certify import describe_machine, describe_toolchain
from inference_core.optimize.convert import get_builder
from inference_core.optimize.golden.verdicts import Pair, measure_truth, warn_of
from inference_core.runtimes.lookup import get_runtime


def certify_pipeline(
    job: PipelineJob, pairs: Sequence[Pair], unused: Sequence[str]
) -> PipelineCertificate:
    """The certificate of a release whose cases all agree."""
    runtime_version = get_runtime(job.profile.runtime).version()
    latency = _measure(pairs)
    warnings = [*warn_of(pairs), *unused]
    if latency is not None and latency.p95_ms > job.pipeline.budget_ms:
        warnings.append(
            f"95 of 100 frames took up to {latency.p95_ms:.1f} ms on this builder; the budget is "
            f"{job.pipeline.budget_ms:g} ms"
        )
    return PipelineCertificate(
        release=job.release,
        counter=job.counter,
        profile=job.profile.name,
        pipeline_sha256=hashlib.sha256(job.pipeline.to_json()).hexdigest(),
        models={
            name: _describe(model, job.profile.runtime, runtime_version)
            for name, model in sorted(job.models.items())
        },
        golden=_describe_sets(pairs),
        cases=tuple(pair.to_case() for pair in pairs),
        truth=measure_truth(pairs),
        mm_per_px=job.mm_per_px,
        latency=latency,
        budget_ms=job.pipeline.budget_ms,
        warnings=tuple(warnings),
        reference_runtime=f"onnxruntime {get_runtime(RuntimeName.ONNXRUNTIME).version()}",
        toolchain=describe_toolchain(get_builder(job.profile.runtime).packages),
        built_on=describe_machine(),
    )


def _describe(model: CheckedModel, runtime: RuntimeName, runtime_version: str) -> CertifiedModel:
    return CertifiedModel(
        source_sha256=model.source_sha256,
        manifest_sha256=hashlib.sha256(model.artifact_manifest.to_json()).hexdigest(),
        artifact_sha256=model.artifact_sha256,
        runtime=runtime,
        runtime_version=runtime_version,
        precision=model.precision,
    )


def _describe_sets(pairs: Sequence[Pair]) -> tuple[CheckedSet, ...]:
    batches = {id(pair.batch): pair.batch for pair in pairs}
    return tuple(
        CheckedSet(
            name=batch.golden.name,
            version=batch.golden.version,
            sha256=batch.golden.sha256,
            model=batch.golden.model,
            images=batch.images,
            cases=len(batch.samples),
        )
        for batch in batches.values()
    )


def _measure(pairs: Sequence[Pair]) -> PipelineLatency | None:
    frames = [pair.artifact.latency_ms for pair in pairs if pair.batch.is_whole]
    if not frames:
        return None
    p50, p95 = np.percentile(frames, [50, 95]).tolist()
    return PipelineLatency(p50_ms=round(p50, 3), p95_ms=round(p95, 3), frames=len(frames))
