"""What a device is told that judges the golden cases of a release for its own profile.

Calls lie below ``checks/{turn}``, and are those of a build: ``lease``, ``decline``, ``return``,
``files/{sha256}``, ``progress`` and ``outcome``, which takes a ``PipelineOutcome``.
"""

from __future__ import annotations

from pydantic import Field

from inference_core.contract.base import Message, Sha256, Slug
from inference_core.contract.build import ProfileSpec
from inference_core.contract.device_build import BuildSet
from inference_core.contract.manifest import ModelManifest
from inference_core.contract.pipeline import PipelineSpec
from inference_core.contract.release import MAX_ARTIFACT_BYTES
from inference_core.contract.words import Precision


class LeasedModel(Message):
    """One model twice: as it was uploaded, and as the artifact that is signed for the profile."""

    source_sha256: Sha256
    source_length: int = Field(ge=0, le=MAX_ARTIFACT_BYTES)
    source_manifest: ModelManifest
    artifact_sha256: Sha256
    artifact_length: int = Field(ge=0, le=MAX_ARTIFACT_BYTES)
    artifact_manifest: ModelManifest
    precision: Precision


class LeasedSet(BuildSet):
    """A golden set as a folder, and what its pictures show; see ``GoldenPictures``."""

    name: Slug
    version: Slug
    model: Slug | None = None
    max_cases: int = Field(ge=1, description="Of a larger set an even spread is taken.")


class CheckLease(Message):
    """``POST checks/{turn}/lease``: all that judging needs. Asking again gives the same."""

    turn: int
    check: int
    lease_s: float = Field(gt=0, description="Without a word for so long, the lease is lost.")
    release: Slug
    counter: int = Field(ge=1)
    profile: ProfileSpec
    pipeline: PipelineSpec
    models: dict[Slug, LeasedModel] = Field(min_length=1, max_length=16)
    golden: tuple[LeasedSet, ...] = Field(min_length=1, max_length=32)
    mm_per_px: float | None = Field(default=None, gt=0, description="Scale of the whole frames.")
