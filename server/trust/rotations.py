"""New keys for roles, as wishes: nothing changes before those who may have signed them."""

from __future__ import annotations

from collections.abc import Sequence

from securesystemslib.signer import Key

from inference_core.contract.release import ANY_PROFILE
from server.lib.errors import Invalid, NotFound
from server.trust import keys, repository, storing, wishes
from server.trust.selectors import newest


def wish_top_level(*, keyholders: dict[str, tuple[Sequence[Key], int]], actor: str) -> None:
    """New keys of ``root`` and ``targets``, each with how many of them must sign."""
    for role, (found, threshold) in keyholders.items():
        wishes.wish(role=role, profile="", keys=found, threshold=threshold, actor=actor)


def wish_online(*, roles: Sequence[str], actor: str) -> None:
    """New keys, made on this machine, for ``snapshot`` or ``timestamp``."""
    for role in roles:
        key = _wished_here(role) or keys.make_next_key(role)
        wishes.wish(role=role, profile="", keys=[key], threshold=1, actor=actor)


def wish_builder(*, profile: str, actor: str, is_added: bool = False) -> Key:
    """A new key, made on this machine, for ``profile``; beside the old one where ``is_added``."""
    role = storing.role_of(profile)
    key = _wished_here(role) or keys.make_next_key(role)
    old = storing.standing(role) if is_added else None
    wished = [*(old.keys if old else ()), key]
    wishes.wish(role=role, profile=profile, keys=wished, threshold=1, actor=actor)
    return key


def wish_persons(*, profile: str, persons: Sequence[Key], actor: str) -> None:
    """Let one of ``persons`` sign releases of ``profile`` beside its builder; none: no longer."""
    if profile == ANY_PROFILE:
        raise Invalid("Agents are signed by their role alone.")
    role, threshold = repository.cosigned_role(profile), 2 if persons else 0
    builder = storing.standing(storing.role_of(profile))
    if builder is None:
        raise NotFound(f"Nobody signs for {profile} yet, so that nobody can sign as well.")
    if {key.keyid for key in persons} & set(builder.keyids):
        raise Invalid("The builder's own key is no second signature.")
    wishes.wish(role=role, profile=profile, keys=persons, threshold=threshold, actor=actor)


def _wished_here(role: str) -> Key | None:
    """The key that is wished for already, where it was made on this machine."""
    row = wishes.open_wishes().filter(role=role).first()
    found = storing.standing(role) if newest("root") else None
    new = [k for k in (row.keys if row else ()) if not found or k not in found.keyids]
    return next((signer.public_key for signer in keys.signers_among(role, new)), None)
