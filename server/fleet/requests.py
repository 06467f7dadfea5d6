"""Bodies that the fleet's API takes. An unknown field is an error, most likely a typing mistake."""

from __future__ import annotations

from uuid import UUID

from pydantic import Field, field_validator

from inference_core.contract.addresses import check_sink
from inference_core.contract.base import Document, Slug
from inference_core.contract.sampling import SamplingPolicy
from inference_core.contract.serve import Camera
from inference_core.contract.window import UpdateWindow, WindowSlot
from server.fleet.enrolment import MAX_LIFETIME_S, MAX_USES


class NewSite(Document):
    """``POST sites``."""

    name: Slug
    title: str = Field(min_length=1, max_length=200)


class NewLine(Document):
    """``POST lines``."""

    site: Slug
    name: Slug
    title: str = Field(min_length=1, max_length=200)


class NewSlot(WindowSlot, Document):
    """A slot in ``PATCH lines/{site}/{line}``."""


class NewWindow(UpdateWindow, Document):
    """A window in ``PATCH lines/{site}/{line}``."""

    slots: tuple[NewSlot, ...] = Field(min_length=1, max_length=50)


class LineChanges(Document):
    """``PATCH lines/{site}/{line}``: what is left out stays; null lifts the window."""

    update_window: NewWindow | None = None


class NewGroup(Document):
    """``POST groups``."""

    name: Slug
    title: str = Field(min_length=1, max_length=200)


class GroupChanges(Document):
    """``PATCH groups/{name}``: what is left out stays; null keeps the agents that run."""

    agent_release: str | None = Field(default=None, max_length=40)


class NewMembers(Document):
    """``POST groups/{name}/devices``."""

    devices: tuple[UUID, ...] = Field(min_length=1, max_length=10_000)


class NewEnrolmentToken(Document):
    """``POST enrolment-tokens``."""

    site: Slug
    line: Slug
    group: Slug | None = None
    uses: int = Field(default=1, ge=1, le=MAX_USES)
    preauthorised: bool = False
    lifetime_s: float = Field(default=3600, gt=0, le=MAX_LIFETIME_S)


class NewCamera(Camera, Document):
    """A camera in ``PATCH devices/{id}``."""

    @field_validator("sinks")
    @classmethod
    def _hold_no_secrets(cls, sinks: tuple[str, ...]) -> tuple[str, ...]:
        for address in sinks:
            check_sink(address)
        return sinks


class NewSampling(SamplingPolicy, Document):
    """A policy of sampling in ``PATCH devices/{id}``."""

    bytes_per_day: int = Field(default=20_000_000, ge=0, le=10**12)


class DeviceChanges(Document):
    """``PATCH devices/{id}``: what is left out stays as it is."""

    cameras: tuple[NewCamera, ...] | None = Field(default=None, max_length=64)
    sample_every_s: float | None = Field(default=None, gt=0, le=86_400)
    sampling: NewSampling | None = Field(default=None, description="null is the usual policy.")
    variant: Slug | None = Field(default=None, description="null takes it out of its arm.")


class NewDeviceProfile(Document):
    """``PUT devices/{id}/profile``."""

    profile: Slug


class Decision(Document):
    """``POST devices/{id}/quarantine`` and ``revoke``: the reason goes into the audit log."""

    reason: str = Field(min_length=1, max_length=2000)


class Pardon(Document):
    """``POST devices/{id}/release``."""

    reason: str = Field(default="", max_length=2000)


class Acceptance(Document):
    """``POST devices/{id}/accept``; with the fingerprint, only that very key is accepted."""

    reason: str = Field(default="", max_length=2000)
    key_fingerprint: str | None = None
