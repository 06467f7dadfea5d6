"""Hardware profiles: which are used, what they are for, what was built for them and where."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import Max

from server.accounts.models import AuditEntry, User
from server.builds.models import Artifact, Builder, Certificate
from server.builds.selectors import builders, is_live
from server.fleet.models import HardwareProfile, ProfileProposal
from server.fleet.requirements import Requirements
from server.fleet.selectors import profiles_counted
from server.lib.errors import NotFound

CHANGES = 20


@dataclass(frozen=True)
class ProfileRow:
    """A profile with its counts, its requirements in words, and where its last artifact is from."""

    profile: HardwareProfile
    needs: tuple[str, ...]
    devices: int
    artifacts: int
    built_on: str

    @property
    def is_used(self) -> bool:
        """Whether a device or an artifact belongs to it."""
        return bool(self.devices or self.artifacts)


def list_profiles(user: User, *, all_of_them: bool) -> list[ProfileRow]:
    """By name: those in use and one's own, or all that there are. Two queries."""
    profiles = list(profiles_counted(user))
    built_on = _machines()
    found = [_row(profile, built_on.get(profile.pk, "")) for profile in profiles]
    return [row for row in found if all_of_them or row.is_used or not row.profile.is_seeded]


def profile_row(user: User, name: str) -> ProfileRow:
    """One profile; NotFound where there is none."""
    profile = profiles_counted(user).filter(name=name).first()
    if profile is None:
        raise NotFound(f"There is no hardware profile {name!r}.")
    return _row(profile, _machines().get(profile.pk, ""))


def builders_of(profile: HardwareProfile) -> list[tuple[Builder, bool]]:
    """Workers that serve its queue, each with whether it was heard of lately and can build."""
    return [(row, is_live(row)) for row in builders().filter(profile=profile)]


def changes_of(profile: HardwareProfile) -> list[AuditEntry]:
    """What the audit log says of it, the newest first."""
    entries = AuditEntry.objects.filter(subject="hardware_profile", subject_id=profile.name)
    return list(entries[:CHANGES])


def _machines() -> dict[int, str]:
    """Of each profile with artifacts: the processor that its newest certificate names."""
    newest = Artifact.objects.values("profile").annotate(newest=Max("pk")).values("newest")
    rows = Certificate.objects.filter(artifact__in=newest).values_list("artifact__profile", "body")
    return {profile: str(body.get("built_on", {}).get("cpu", "")) for profile, body in rows}


def proposals() -> list[ProfileProposal]:
    """What boxes asked for that no profile fitted, the latest first."""
    return list(ProfileProposal.objects.order_by("-asked_at"))


def _row(profile: Any, built_on: str) -> ProfileRow:
    """``profile`` is a HardwareProfile with the counts of ``profiles_counted``."""
    return ProfileRow(
        profile=profile,
        needs=tuple(_needs(profile)),
        devices=profile.device_count,
        artifacts=profile.artifact_count,
        built_on=built_on,
    )


def _needs(profile: HardwareProfile) -> Iterator[str]:
    spec, requires = profile.spec, Requirements.model_validate(profile.requires)
    engine = spec.tensorrt
    if engine:
        title = "TensorRT for RTX" if engine.flavour == "rtx" else "TensorRT"
        yield f"{title} {engine.version or ''}".strip()
        yield from (f"compute capability {number}" for number in engine.compute_capabilities)
    else:
        yield f"{str(spec.runtime).replace('_', ' ')} {spec.runtime_version or ''}".strip()
    yield spec.architecture
    yield from filter(None, (requires.board or requires.soc, " or ".join(requires.accelerators)))
    if requires.l4t:
        yield f"L4T {' or '.join(requires.l4t)}"
    if spec.compute_device != "cpu":
        yield f"computes on the {spec.compute_device}"
