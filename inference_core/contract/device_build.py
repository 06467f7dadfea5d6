"""What a device and the server say to each other about a build on the device itself.

Calls lie below ``builds/{turn}``: a turn is one device's chance at one build, and nobody else's.
Where the chance is at golden cases, the same calls lie below ``checks/{turn}``.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from inference_core.contract.base import Message, Sha256
from inference_core.contract.build import ParityLimits, ProfileSpec
from inference_core.contract.manifest import ModelManifest
from inference_core.contract.release import MAX_ARTIFACT_BYTES

MAX_PIECE_BYTES = 2 * 1024 * 1024
"""One piece of an artifact on its way to the server."""

OFFSET_HEADER = "Linewarden-Offset"
"""Of a piece: how many bytes of the artifact lie before it."""

MAX_BUILD_LOG = 32_000
"""Characters of a build's log that are kept, the newest."""


class BuildFile(Message):
    """A file of a set: its path within the set, and its digest, by which it is fetched."""

    path: str = Field(pattern=r"^[^/\x00]+(/[^/\x00]+)*$", max_length=300)
    sha256: Sha256


class BuildSet(Message):
    """A calibration or golden set as a folder."""

    sha256: Sha256
    length: int = Field(ge=0, description="Bytes of all its files.")
    files: tuple[BuildFile, ...] = Field(max_length=20_000)


class BuildLease(Message):
    """``POST builds/{turn}/lease``: all that the build needs. Asking again gives the same."""

    turn: int
    build: int
    lease_s: float = Field(gt=0, description="Without a word for so long, the lease is lost.")
    source_sha256: Sha256
    source_length: int = Field(ge=0, le=MAX_ARTIFACT_BYTES)
    manifest: ModelManifest
    profile: ProfileSpec
    calibration: BuildSet
    golden: BuildSet
    limits: ParityLimits = ParityLimits()


class BuildBeat(Message):
    """``POST builds/{turn}/progress``: keeps the lease; 409 where it is lost."""

    step: str = Field(default="", max_length=20)
    share: float = Field(default=0.0, ge=0, le=1)
    log: str = Field(default="", max_length=MAX_BUILD_LOG, description="Its newest characters.")


class BuildReason(Message):
    """``POST builds/{turn}/decline`` and ``return``: one sentence for a person."""

    reason: str = Field(min_length=1, max_length=2000)


class PieceReply(Message):
    """``GET`` and ``PATCH builds/{turn}/artifact``: how many bytes the server has."""

    received: int = Field(ge=0)


class BuildClosing(Message):
    """``POST builds/{turn}/outcome``: what became of the build, or of the check."""

    state: Literal["succeeded", "refused", "failed", "queued"]
    reason: str
