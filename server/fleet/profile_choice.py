"""Which profile a box gets when it enrols, or why it gets none."""

from __future__ import annotations

from inference_core.contract.device import DeviceFacts
from server.fleet.models import HardwareProfile
from server.fleet.profiles import Match, architecture_of, match_profiles, misfit_of
from server.fleet.proposals import ARCHITECTURES, NewProfile, propose
from server.lib.errors import Invalid


class NoProfile(Invalid):
    """No profile fits a box. ``proposal`` is one that would, ``why`` what the nearest need."""

    def __init__(self, match: Match, facts: DeviceFacts, known: list[str]) -> None:
        proposal = self.proposal = propose(facts)
        self.why, advice = match.nearest, _advise_box(facts, proposal)
        super().__init__(
            f"No profile fits what the device says of itself. {advice} {match.nearest}".strip(),
            known=known,
            suggested=[],
            near=_near(match),
            proposed=proposal and proposal.name,
        )


def choose_profile(name: str | None, facts: DeviceFacts) -> HardwareProfile:
    """The profile called ``name``, or the best that fits; Invalid with what is the matter.

    A name is taken where the facts are silent, and refused where they deny it.
    """
    match = match_profiles(facts)
    if name is None and match.fitting:
        return match.fitting[0].profile
    known = {profile.name: profile for profile in HardwareProfile.objects.order_by("name")}
    if name is None:
        raise NoProfile(match, facts, list(known))
    profile = known.get(name)
    misfit = misfit_of(profile, facts) if profile else ""
    if profile is not None and not misfit:
        return profile
    problem = f"The profile {name!r} {misfit}." if profile else f"There is no profile {name!r}."
    raise Invalid(
        f"{problem} {_advise(match, known, facts)}".strip(),
        known=list(known),
        suggested=[suggestion.profile.name for suggestion in match.fitting],
        near=_near(match),
    )


def _advise_box(facts: DeviceFacts, proposal: NewProfile | None) -> str:
    if proposal is not None:
        return (
            f"The profile {proposal.name} would fit and waits for an admin to accept it; "
            "enrol again then."
        )
    if architecture_of(facts) not in ARCHITECTURES:
        return f"Linewarden runs on {' and '.join(ARCHITECTURES)}."
    return "Install a runtime first: pip install 'linewarden[onnx]'."


def _advise(match: Match, known: dict[str, HardwareProfile], facts: DeviceFacts) -> str:
    architecture = architecture_of(facts)
    names = [name for name, row in known.items() if row.architecture == architecture]
    listed = f"Known for {architecture} are: {', '.join(names) or 'none'}."
    if not match.fitting:
        return f"{match.nearest} {listed}".strip()
    best = match.fitting[0]
    return f"Suggested: {best.profile.name} ({best.why}). {listed}"


def _near(match: Match) -> list[dict[str, str]]:
    return [{"profile": near.profile.name, "why": near.why} for near in match.near]
