"""Which hardware profiles suit a device, which nearly do, and what a fitting one would be."""

from __future__ import annotations

from dataclasses import dataclass

from inference_core.contract.device import DeviceFacts
from server.fleet.models import HardwareProfile
from server.fleet.requirements import Finding, Requirements, architecture_of, judge
from server.fleet.seeds import SEEDS

__all__ = [
    "SEEDS",
    "Match",
    "NearMiss",
    "Suggestion",
    "architecture_of",
    "findings_of",
    "match_profile",
    "match_profiles",
    "misfit_of",
]

MOST_NEAR, MOST_DIFFERENCES, MOST_TOLD = 5, 3, 2
_RANK = {seed.spec.name: index for index, seed in enumerate(SEEDS)}


@dataclass(frozen=True)
class Suggestion:
    """A profile that a device could use, and why."""

    profile: HardwareProfile
    why: str


@dataclass(frozen=True)
class NearMiss:
    """A profile that a device cannot use, and what it lacks for it."""

    profile: HardwareProfile
    differs: tuple[Finding, ...]

    @property
    def why(self) -> str:
        """For example "needs TensorRT 10.3, the device has 10.7"."""
        return "; ".join(map(str, self.differs))


@dataclass(frozen=True)
class Match:
    """All profiles that fit, the best first; and those that nearly do, the nearest first."""

    fitting: tuple[Suggestion, ...]
    near: tuple[NearMiss, ...]

    @property
    def nearest(self) -> str:
        """The near misses as a sentence; empty for none."""
        lines = [f"{near.profile.name} {near.why}" for near in self.near[:MOST_TOLD]]
        return f"Nearest: {'. '.join(lines)}." if lines else ""


def findings_of(profile: HardwareProfile, facts: DeviceFacts) -> list[Finding]:
    """Every requirement of ``profile`` held against ``facts``."""
    return judge(profile.spec, Requirements.model_validate(profile.requires), facts)


def misfit_of(profile: HardwareProfile, facts: DeviceFacts) -> str:
    """What the facts deny of the profile; what they are silent about may still be there."""
    return "; ".join(str(found) for found in findings_of(profile, facts) if found.is_denied)


def match_profiles(facts: DeviceFacts) -> Match:
    """Hold every profile against ``facts``. What is silent in the facts fits nothing."""
    fitting, near = [], []
    for profile in HardwareProfile.objects.order_by("name"):
        found = findings_of(profile, facts)
        differs = tuple(finding for finding in found if not finding.is_met)
        if not differs:
            fitting.append(profile)
        elif found[0].is_met and len(differs) <= MOST_DIFFERENCES:
            near.append((len(differs), -len(found), NearMiss(profile, differs)))
    near.sort(key=lambda item: (*item[:2], _RANK.get(item[2].profile.name, len(_RANK))))
    return Match(
        tuple(Suggestion(profile, _why(profile, facts)) for profile in sorted(fitting, key=_rank)),
        tuple(miss for *_, miss in near[:MOST_NEAR]),
    )


def match_profile(facts: DeviceFacts) -> list[Suggestion]:
    """Profiles that fit, the best first."""
    return list(match_profiles(facts).fitting)


def _rank(profile: HardwareProfile) -> tuple[int, str]:
    """Somebody's own profile for this very hardware, then the seeds in their order, then others."""
    is_bound = bool(profile.requires or profile.tensorrt or profile.accelerator)
    own = -1 if is_bound else len(_RANK)
    return _RANK.get(profile.name, own) if profile.is_seeded else own, profile.name


def _why(profile: HardwareProfile, facts: DeviceFacts) -> str:
    found = [finding for finding in findings_of(profile, facts) if finding.what != "architecture"]
    return f"the device is {profile.architecture} and has {', '.join(map(str, found))}"
