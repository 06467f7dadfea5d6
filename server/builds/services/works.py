"""What a device can do in a turn: a build, or the golden cases of a release for its profile.

Offers, leases and turns are the same for both; what differs lies here, and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from inference_core.contract.device_build import BuildBeat
from server.builds.checks.leases import extend_check, lease_check
from server.builds.checks.materials import scale_of
from server.builds.checks.outcomes import give_up_check
from server.builds.checks.states import CheckState
from server.builds.models import Artifact, Build, BuildTurn, PipelineCheck
from server.builds.services.leases import extend_lease, lease_build
from server.builds.services.outcomes import give_up
from server.builds.states import BuildState
from server.fleet.models import HardwareProfile


class Work(Protocol):
    """One piece of work and its lease, which belongs to the owner of a turn."""

    @property
    def profile(self) -> HardwareProfile:
        """Whose devices may do it."""

    @property
    def since(self) -> datetime:
        """Since when somebody wants it."""

    @property
    def is_waiting(self) -> bool:
        """Whether it waits, and for a device."""

    @property
    def is_over(self) -> bool:
        """Whether nobody works on it any more."""

    @property
    def named(self) -> dict[str, Any]:
        """Fields of a new turn at it."""

    @property
    def earlier(self) -> dict[str, Any]:
        """What earlier turns at the same are known by."""

    def find_makers(self) -> frozenset[UUID]:
        """Devices that another one is preferred to, because it is about what they made."""

    def is_held_by(self, owner: str) -> bool:
        """Whether ``owner`` had the lease when this was read."""

    def lease(self, owner: str) -> bool:
        """Take it; False where it does not wait any more."""

    def extend(self, owner: str, beat: BuildBeat | None) -> bool:
        """Keep the lease and store how far it is; False where it is lost."""

    def give_up(self, owner: str, why: str) -> None:
        """Let it be tried again, or end it after its last attempt; Conflict without the lease."""


@dataclass(frozen=True)
class BuildWork:
    """A build."""

    build: Build

    @property
    def profile(self) -> HardwareProfile:
        """As of the build."""
        return self.build.profile

    @property
    def since(self) -> datetime:
        """When it was asked for."""
        return self.build.created_at

    @property
    def is_waiting(self) -> bool:
        """Queued, for a profile that its devices build for."""
        return self.build.state == BuildState.QUEUED and self.profile.is_built_on_device

    @property
    def is_over(self) -> bool:
        """Not leased."""
        return self.build.state != BuildState.LEASED

    @property
    def named(self) -> dict[str, Any]:
        """The build alone."""
        return {"build": self.build}

    @property
    def earlier(self) -> dict[str, Any]:
        """Turns at this very build."""
        return {"build": self.build}

    def find_makers(self) -> frozenset[UUID]:
        """Nobody has made anything yet."""
        return frozenset()

    def is_held_by(self, owner: str) -> bool:
        """By the row as it was read."""
        return self.build.state == BuildState.LEASED and self.build.lease_owner == owner

    def lease(self, owner: str) -> bool:
        """See ``lease_build``."""
        return lease_build(build_id=self.build.pk, owner=owner) is not None

    def extend(self, owner: str, beat: BuildBeat | None) -> bool:
        """See ``extend_lease``."""
        told = {} if beat is None else {"step": beat.step, "share": beat.share, "log": beat.log}
        return extend_lease(build=self.build, owner=owner, **told)

    def give_up(self, owner: str, why: str) -> None:
        """See ``give_up``."""
        give_up(build=self.build, owner=owner, why=why, is_final=False)


@dataclass(frozen=True)
class CheckWork:
    """The golden cases of a release for a profile."""

    check: PipelineCheck

    @property
    def profile(self) -> HardwareProfile:
        """As of the check."""
        return self.check.profile

    @property
    def since(self) -> datetime:
        """When it was asked for."""
        return self.check.created_at

    @property
    def is_waiting(self) -> bool:
        """Queued, for a profile that its devices build for."""
        return self.check.state == CheckState.QUEUED and self.profile.is_built_on_device

    @property
    def is_over(self) -> bool:
        """Not leased."""
        return self.check.state != CheckState.LEASED

    @property
    def named(self) -> dict[str, Any]:
        """With the scale of now: cameras may change between a lease and its outcome."""
        return {"pipeline_check": self.check, "mm_per_px": scale_of(self.check)}

    @property
    def earlier(self) -> dict[str, Any]:
        """Also at checks before this one: whose word was doubted is asked after the others."""
        return {
            "pipeline_check__release": self.check.release_id,
            "pipeline_check__profile": self.check.profile_id,
        }

    def find_makers(self) -> frozenset[UUID]:
        """Devices that built one of the artifacts."""
        made = Artifact.objects.filter(
            profile=self.check.profile_id, version__releases=self.check.release_id
        )
        return frozenset(made.exclude(device=None).values_list("device", flat=True))

    def is_held_by(self, owner: str) -> bool:
        """By the row as it was read."""
        return self.check.state == CheckState.LEASED and self.check.lease_owner == owner

    def lease(self, owner: str) -> bool:
        """See ``lease_check``."""
        return lease_check(check_id=self.check.pk, owner=owner) is not None

    def extend(self, owner: str, beat: BuildBeat | None) -> bool:
        """See ``extend_check``."""
        told = {} if beat is None else {"share": beat.share}
        return extend_check(check=self.check, owner=owner, **told)

    def give_up(self, owner: str, why: str) -> None:
        """See ``give_up_check``."""
        give_up_check(check=self.check, owner=owner, why=why, is_final=False)


def work_of(turn: BuildTurn) -> Work:
    """What a turn is at."""
    if turn.build is not None:
        return BuildWork(turn.build)
    if turn.pipeline_check is not None:
        return CheckWork(turn.pipeline_check)
    raise ValueError(f"turn {turn.pk} is at nothing")  # the database forbids it
