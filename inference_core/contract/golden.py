"""Messages between a builder and the child that holds a release to its golden pictures."""

from __future__ import annotations

from typing import Annotated, Literal, Union

from pydantic import Field, TypeAdapter

from inference_core.contract.base import Document, Message, Sha256, Slug, added
from inference_core.contract.build import ProfileSpec
from inference_core.contract.dataset import RelativePath
from inference_core.contract.manifest import ModelManifest
from inference_core.contract.pipeline import PipelineSpec
from inference_core.contract.words import Precision, RuntimeName, VerdictWord

MAX_TOLD_CASES = 50
"""Cases that an outcome explains; all of them are counted."""


class GoldenPictures(Document):
    """A golden set as a folder, and what its pictures show.

    ``model`` None: whole frames, judged by the whole pipeline. Else what the stages of that model
    look at, for example the region of a text: judged by those stages and the rules over them.
    """

    name: Slug
    version: Slug
    folder: str
    sha256: Sha256
    model: Slug | None = None
    max_cases: int = Field(ge=1, description="Of a larger set an even spread is taken.")


class CheckedModel(Document):
    """One model twice: the source as it was uploaded, and the artifact of the profile."""

    source_path: str
    source_sha256: Sha256
    source_manifest: ModelManifest
    artifact_path: str
    artifact_sha256: Sha256
    artifact_manifest: ModelManifest
    precision: Precision


class PipelineJob(Document):
    """All that the child needs; paths are absolute and private to the check."""

    release: Slug
    counter: int = Field(ge=1)
    profile: ProfileSpec
    pipeline: PipelineSpec
    models: dict[Slug, CheckedModel]
    golden: tuple[GoldenPictures, ...] = Field(min_length=1, max_length=32)
    mm_per_px: float | None = Field(default=None, gt=0, description="Scale of the whole frames.")


class StageDifference(Message):
    """What one stage found with the source, and what with the artifact, in words."""

    stage: str
    reference: str
    artifact: str


class PipelineCase(Message):
    """One golden picture, judged twice. Reasons and stages are told where the verdicts differ."""

    golden: str = Field(description='Name and version of the set: "boards-golden 1".')
    image: RelativePath
    model: Slug | None = Field(default=None, description="Where only its stages were asked.")
    expected: VerdictWord | None = Field(default=None, description="As a person labelled it.")
    reference: VerdictWord
    artifact: VerdictWord
    reference_reasons: tuple[str, ...] = ()
    artifact_reasons: tuple[str, ...] = ()
    stages: tuple[StageDifference, ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether a part would fare the same."""
        return self.reference == self.artifact


class CheckedSet(Message):
    """A golden set as far as it was used."""

    name: Slug
    version: Slug
    sha256: Sha256
    model: Slug | None = None
    images: int
    cases: int


class CertifiedModel(Message):
    """What of one model was run."""

    source_sha256: Sha256
    manifest_sha256: Sha256 = Field(description="Of the artifact's manifest: its thresholds.")
    artifact_sha256: Sha256
    runtime: RuntimeName
    runtime_version: str
    precision: Precision


class PipelineLatency(Message):
    """Milliseconds from a picture's file to the verdict, with the artifacts on the builder."""

    p50_ms: float
    p95_ms: float
    frames: int


class TruthFigures(Message):
    """Whole frames whose verdict a person labelled, and how many were judged so."""

    labelled: int
    reference_right: int
    artifact_right: int


class PipelineCertificate(Message):
    """Signed proof that a release judges every golden case as its reference models do."""

    schema_version: Literal[1] = 1
    release: Slug
    counter: int
    profile: Slug
    pipeline_sha256: Sha256
    models: dict[Slug, CertifiedModel]
    golden: tuple[CheckedSet, ...]
    cases: tuple[PipelineCase, ...]
    truth: TruthFigures
    mm_per_px: float | None = None
    latency: PipelineLatency | None = Field(
        default=None, description="None where no case was a whole frame."
    )
    budget_ms: float
    warnings: tuple[str, ...] = Field(default=(), description="What the cases do not show.")
    reference_runtime: str
    toolchain: dict[str, str] = Field(default_factory=dict)
    built_on: dict[str, str] = Field(default_factory=dict)
    judged_by: str | None = added(
        None, description="Serial of the device that judged; None is a host of the server's."
    )
    also_built: bool = added(False, description="That device built some of these artifacts too.")

    @property
    def is_within_budget(self) -> bool | None:
        """Whether 95 of 100 frames kept the budget; None where that was not measured."""
        return None if self.latency is None else self.latency.p95_ms <= self.budget_ms


class PipelineProgress(Message):
    """How much of the check is done, 0 to 1."""

    event: Literal["progress"] = "progress"
    share: float = Field(ge=0, le=1)
    detail: str


class PipelineOutcome(Message):
    """The last line of the child.

    ``refused``: a verdict differs, or a model fails on a golden picture. ``failed``: it could not
    be found out; ``reason`` says what to mend.
    """

    event: Literal["outcome"] = "outcome"
    outcome: Literal["succeeded", "refused", "failed"]
    reason: str
    is_final: bool = Field(default=True, description="False: this machine could not, not now.")
    cases: int = 0
    differing: tuple[PipelineCase, ...] = Field(default=(), max_length=MAX_TOLD_CASES)
    differing_count: int = 0
    certificate: PipelineCertificate | None = None


PipelineEvent = Annotated[
    Union[PipelineProgress, PipelineOutcome],
    Field(discriminator="event"),
]
PIPELINE_EVENT: TypeAdapter[PipelineProgress | PipelineOutcome] = TypeAdapter(PipelineEvent)
