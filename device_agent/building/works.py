"""What the workshop does in a turn: it builds, or it judges golden cases.

Both are a child over files that the server names by digest, and an outcome that is delivered.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol, Union

from device_agent.building.calls import TurnCalls
from device_agent.building.child import Event, Task
from device_agent.building.delivery import deliver
from device_agent.building.desk import BegunTurn
from device_agent.building.materials import Bringer, Materials
from device_agent.status import BuildStatus
from inference_core.contract.build import BUILD_EVENT, BuildOutcome
from inference_core.contract.device_build import BuildClosing, BuildLease
from inference_core.contract.device_check import CheckLease, LeasedModel
from inference_core.contract.golden import (
    PIPELINE_EVENT,
    CheckedModel,
    GoldenPictures,
    PipelineJob,
    PipelineOutcome,
)

Outcome = Union[BuildOutcome, PipelineOutcome]


class Work(Task, Protocol):
    """A leased turn, and how it is done."""

    lease_s: float
    begun: BegunTurn

    def standing(self, step: str, share: float) -> BuildStatus:
        """How far it is, for a technician."""

    def bring(self, bringer: Bringer, rate_cap_bytes_s: int | None) -> Path:
        """Fetch what is missing; the child's job file."""

    def deliver(
        self,
        calls: TurnCalls,
        outcome: Outcome,
        *,
        rate_cap_bytes_s: int | None,
        breathe: Callable[[], None],
    ) -> BuildClosing:
        """Bring the outcome to the server; may be called again."""


class BuildWork:
    """A build."""

    command = "build"
    what = "the build"

    def __init__(self, lease: BuildLease) -> None:
        self._lease, self.lease_s = lease, lease.lease_s
        self.begun = BegunTurn(turn=lease.turn)

    def standing(self, step: str, share: float) -> BuildStatus:
        """As ``Work`` promises."""
        return BuildStatus(build=self._lease.build, step=step, share=share)

    def bring(self, bringer: Bringer, rate_cap_bytes_s: int | None) -> Path:
        """Model, calibration and golden set."""
        return Materials(bringer, self._lease).bring(rate_cap_bytes_s)

    @staticmethod
    def read_event(line: bytes) -> Event:
        """As ``Task`` promises."""
        return BUILD_EVENT.validate_json(line)

    def deliver(
        self,
        calls: TurnCalls,
        outcome: Outcome,
        *,
        rate_cap_bytes_s: int | None,
        breathe: Callable[[], None],
    ) -> BuildClosing:
        """The artifact in pieces, and what vouches for it."""
        if not isinstance(outcome, BuildOutcome):
            raise TypeError("a build ends with the outcome of a build")
        turn = self._lease.turn
        return deliver(calls, turn, outcome, rate_cap_bytes_s=rate_cap_bytes_s, breathe=breathe)


class CheckWork:
    """Golden cases of a release, judged with the original models and with the artifacts."""

    command = "certify"
    what = "the check"

    def __init__(self, lease: CheckLease) -> None:
        self._lease, self.lease_s = lease, lease.lease_s
        self.begun = BegunTurn(turn=lease.turn, room="checks")

    def standing(self, step: str, share: float) -> BuildStatus:
        """As ``Work`` promises."""
        return BuildStatus(build=self._lease.check, step=step, share=share, what="check")

    def bring(self, bringer: Bringer, rate_cap_bytes_s: int | None) -> Path:
        """Every model twice, and the golden sets."""
        lease, folder = self._lease, bringer.folder
        models = {
            name: _bring_model(model, bringer, folder / f"model{number}", rate_cap_bytes_s)
            for number, (name, model) in enumerate(sorted(lease.models.items()))
        }
        golden = [
            GoldenPictures(
                name=one.name,
                version=one.version,
                folder=str(bringer.bring_set(one, folder / f"golden{number}")),
                sha256=one.sha256,
                model=one.model,
                max_cases=one.max_cases,
            )
            for number, one in enumerate(lease.golden)
        ]
        return bringer.write_job(self._make_job(models, golden))

    @staticmethod
    def read_event(line: bytes) -> Event:
        """As ``Task`` promises."""
        return PIPELINE_EVENT.validate_json(line)

    def deliver(
        self,
        calls: TurnCalls,
        outcome: Outcome,
        *,
        rate_cap_bytes_s: int | None,  # noqa: ARG002 - nothing large is sent
        breathe: Callable[[], None],  # noqa: ARG002 - one call
    ) -> BuildClosing:
        """The outcome with its certificate."""
        return calls.conclude(self.begun.place, outcome)

    def _make_job(
        self, models: dict[str, CheckedModel], golden: list[GoldenPictures]
    ) -> PipelineJob:
        lease = self._lease
        return PipelineJob(
            release=lease.release,
            counter=lease.counter,
            profile=lease.profile,
            pipeline=lease.pipeline,
            models=models,
            golden=tuple(golden),
            mm_per_px=lease.mm_per_px,
        )


def _bring_model(
    model: LeasedModel, bringer: Bringer, folder: Path, rate_cap_bytes_s: int | None
) -> CheckedModel:
    source, artifact = folder / "source.onnx", folder / "artifact"
    bringer.bring_file(model.source_sha256, model.source_length, source, rate_cap_bytes_s)
    bringer.bring_file(model.artifact_sha256, model.artifact_length, artifact, rate_cap_bytes_s)
    return CheckedModel(
        source_path=str(source),
        source_sha256=model.source_sha256,
        source_manifest=model.source_manifest,
        artifact_path=str(artifact),
        artifact_sha256=model.artifact_sha256,
        artifact_manifest=model.artifact_manifest,
        precision=model.precision,
    )
