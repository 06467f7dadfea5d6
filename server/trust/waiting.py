"""What waits for a person's signature, in words that say what to do."""

from __future__ import annotations

from collections.abc import Iterable

from securesystemslib.signer import Key

from server.lib.errors import Unavailable
from server.trust import storing
from server.trust.models import RoleWish, SignedTarget, SigningRequest
from server.trust.public_keys import name_of
from server.trust.repository import cosigned_role
from server.trust.selectors import newest, withdrawn_paths
from server.trust.storing import role_of

REQUEST = "python -m server trust request"
FOR_TARGETS = f"waits for the signature of targets: run `{REQUEST}`"


class WaitsForSignature(Unavailable):
    """A person must sign first; nothing is lost, and the same call succeeds afterwards."""

    code = "waits_for_signature"

    @classmethod
    def for_targets(cls, profile: str) -> WaitsForSignature:
        """A profile whose role nobody has delegated yet."""
        return cls(f"The role {role_of(profile)} {FOR_TARGETS}, let it be signed, and import it.")

    @classmethod
    def for_first_root(cls) -> WaitsForSignature:
        """A repository that has been asked for and not been signed yet."""
        return cls(f"The repository waits for its first signatures: run `{REQUEST}`.")

    @classmethod
    def for_person(cls, profile: str) -> WaitsForSignature:
        """Releases that the builder has signed and nobody else."""
        return cls(f"The release for {profile} {second_signature(profile)}.")


def second_signature(profile: str) -> str:
    """Who is asked to sign what the builder of ``profile`` has signed."""
    names = " or ".join(map(name_of, persons_of(profile)))
    return f"waits for a second signature by {names}: run `{REQUEST} {profile}`"


def persons_of(profile: str) -> list[Key]:
    """Who may sign releases beside the builder; empty where nobody must."""
    cosigned, builder = storing.standing(cosigned_role(profile)), storing.standing(role_of(profile))
    own = set(builder.keyids) if builder else set()
    return [key for key in cosigned.keys if key.keyid not in own] if cosigned else []


def waiting_profiles() -> set[str]:
    """Profiles whose role waits for the signature of targets."""
    wanted = RoleWish.objects.filter(done_at=None).exclude(profile="").order_by()
    names = set(wanted.filter(role__startswith="profile-").values_list("profile", flat=True))
    return {name for name in names if storing.standing(role_of(name)) is None}


def profiles_to_renew() -> list[str]:
    """Profiles whose builder must sign something that only its key can sign, wherever it lies."""
    if newest("root") is None:
        return []
    targets = storing.read("targets")
    table = getattr(getattr(targets, "delegations", None), "roles", None) or {}
    profiles = [role.removeprefix("profile-") for role in table if role.startswith("profile-")]
    asked = set(SigningRequest.objects.filter(closed_at=None).values_list("subject", flat=True))
    waiting = SignedTarget.objects.exclude(waits_since=None).filter(withdrawn_at=None).order_by()
    waits = set(waiting.values_list("profile", flat=True).distinct())
    return [
        profile
        for profile in profiles
        if not storing.is_current(role_of(profile))
        or storing.is_ending(role_of(profile))
        or (profile in waits and cosigned_role(profile) not in asked)
        or storing.is_ending(cosigned_role(profile))
    ]


def waiting_paths(paths: Iterable[str]) -> set[str]:
    """Those of ``paths`` that wait for a second signature."""
    rows = SignedTarget.objects.filter(path__in=list(paths)).exclude(waits_since=None)
    return set(rows.values_list("path", flat=True))


def why_unsigned(profile: str, path: str = "") -> str:
    """Why ``profile`` vouches for nothing yet, or not for ``path``; empty where nobody is due."""
    if profile in waiting_profiles():
        return FOR_TARGETS
    if path and withdrawn_paths([path]):
        return "withdrawn"
    return second_signature(profile) if path and waiting_paths([path]) else ""
