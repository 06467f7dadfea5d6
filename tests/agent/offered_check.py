"""Golden cases as a server offers them to one device, and all that the device says of them."""

from __future__ import annotations

from pathlib import Path

from inference_core.contract.device import CheckOffer
from inference_core.contract.device_build import BuildClosing
from inference_core.contract.device_check import CheckLease, LeasedModel, LeasedSet
from inference_core.contract.golden import (
    CheckedModel,
    GoldenPictures,
    PipelineJob,
    PipelineOutcome,
)
from tests.agent.offered_build import OfferedTurn, Reply, ok


class OfferedCheck(OfferedTurn):
    """A check of a release whose artifacts may be signed, or not."""

    def __init__(self, job: PipelineJob, *, turn: int = 1, lease_s: float = 60.0) -> None:
        super().__init__(turn, lease_s)
        self._job = job
        self.models = {name: self._lease_model(model) for name, model in job.models.items()}
        self._golden = tuple(map(self._lease_set, job.golden))
        self.outcomes: list[PipelineOutcome] = []

    @property
    def offer(self) -> CheckOffer:
        runtime, size = self._job.profile.runtime, self.download_bytes
        return CheckOffer(turn=self.turn, check=5, runtime=runtime, download_bytes=size)

    def _lease(self, _: bytes) -> Reply:
        self.leases += 1
        job = self._job
        return ok(
            CheckLease(
                turn=self.turn,
                check=5,
                lease_s=self._lease_s,
                release=job.release,
                counter=job.counter,
                profile=job.profile,
                pipeline=job.pipeline,
                models=self.models,
                golden=self._golden,
                mm_per_px=job.mm_per_px,
            )
        )

    def _take_outcome(self, body: bytes) -> Reply:
        outcome = PipelineOutcome.model_validate_json(body)
        self.outcomes.append(outcome)
        return ok(BuildClosing(state=outcome.outcome, reason=outcome.reason))

    def _lease_model(self, model: CheckedModel) -> LeasedModel:
        source, artifact = Path(model.source_path), Path(model.artifact_path)
        return LeasedModel(
            source_sha256=self._keep(source),
            source_length=source.stat().st_size,
            source_manifest=model.source_manifest,
            artifact_sha256=self._keep(artifact),
            artifact_length=artifact.stat().st_size,
            artifact_manifest=model.artifact_manifest,
            precision=model.precision,
        )

    def _lease_set(self, golden: GoldenPictures) -> LeasedSet:
        files = self._read(golden.folder, golden.sha256)
        return LeasedSet(
            **dict(files),
            name=golden.name,
            version=golden.version,
            model=golden.model,
            max_cases=golden.max_cases,
        )
