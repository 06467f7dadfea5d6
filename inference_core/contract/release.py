"""ReleaseManifest: what one hardware profile must run; signed, and pinned by digest."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from inference_core.contract.base import Document, Message, Sha256, Slug, added
from inference_core.contract.manifest import ModelManifest
from inference_core.contract.pipeline import PipelineSpec
from inference_core.contract.words import ComputeDevice, Precision, RuntimeName

MAX_RELEASE_BYTES = 4 * 1024 * 1024
MAX_ARTIFACT_BYTES = 2 * 1024 * 1024 * 1024


class TargetRef(Message):
    """A file in the TUF repository: its target path, and the bytes that must lie there."""

    path: str = Field(pattern=r"^[a-z0-9._-]+(/[a-z0-9._-]+)*$", max_length=300)
    sha256: Sha256
    length: int = Field(ge=0, le=MAX_ARTIFACT_BYTES)


class ArtifactRef(Document):
    """A certified artifact of one model for the profile of the release."""

    target: TargetRef
    certificate: TargetRef
    source_sha256: Sha256
    runtime: RuntimeName
    precision: Precision
    peak_memory_bytes: int = Field(ge=0)
    manifest: ModelManifest
    compute_device: ComputeDevice = added(ComputeDevice.CPU)


class ReleaseManifest(Document):
    """A pipeline with its pinned artifacts for one hardware profile.

    ``counter`` grows with every release of the server. A device refuses one that lies below
    its floor, so that an old and signed, but withdrawn release cannot be played back to it.
    """

    schema_version: Literal[1] = 1
    release: Slug
    counter: int = Field(ge=1)
    profile: Slug
    pipeline: PipelineSpec
    artifacts: dict[Slug, ArtifactRef] = Field(description="By the name of the model.")

    @model_validator(mode="after")
    def _every_model_is_pinned(self) -> ReleaseManifest:
        if set(self.artifacts) != set(self.pipeline.models):
            raise ValueError(
                f"the pipeline uses {sorted(self.pipeline.models)}, "
                f"but the release pins {sorted(self.artifacts)}"
            )
        return self


class TargetCustom(Message):
    """Custom fields of a TUF target. TUF ignores them; the agent enforces them before load."""

    kind: Literal["release", "artifact", "certificate", "agent"]
    profile: Slug = Field(description="Of an agent, which fits every profile: 'any'.")
    counter: int = Field(default=0, ge=0)
    source_sha256: Sha256 | None = None
    certificate_sha256: Sha256 | None = None
    runtime: RuntimeName | None = None
    runtime_version: str | None = None
    peak_memory_bytes: int = Field(default=0, ge=0)
    pipeline_certificate_sha256: Sha256 | None = Field(
        default=None, description="Of a release: its PipelineCertificate."
    )


AGENT_ROLE = "agent"
"""Name of the delegated TUF role that signs the agent's own code."""

ANY_PROFILE = "any"


def profile_role(profile: str) -> str:
    """Name of the delegated TUF role that signs everything for a hardware profile."""
    return f"profile-{profile}"


def artifact_path(profile: str, sha256: str) -> str:
    """TUF target path of an artifact."""
    return f"{profile}/artifacts/{sha256}"


def certificate_path(profile: str, sha256: str) -> str:
    """TUF target path of the ParityCertificate of the artifact with digest ``sha256``."""
    return f"{profile}/certificates/{sha256}.json"


def pipeline_certificate_path(profile: str, release: str) -> str:
    """TUF target path of the PipelineCertificate of a release."""
    return f"{profile}/pipelines/{release}.json"


def release_path(profile: str, release: str) -> str:
    """TUF target path of a ReleaseManifest."""
    return f"{profile}/releases/{release}.json"


def agent_path(version: str) -> str:
    """TUF target path of the wheel that holds an agent."""
    return f"agent/wheels/linewarden-{version}.whl"
