"""Which keys roles shall have; what is wished for is signed later, all of it in one request."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import transaction
from django.db.models import QuerySet
from securesystemslib.signer import Key
from tuf.api.metadata import Root, Targets

from server.accounts import audit
from server.lib import clock
from server.lib.errors import Invalid
from server.trust.models import RoleWish
from server.trust.public_keys import read_keys, write_keys
from server.trust.repository import COSIGNED, set_keys
from server.trust.storing import TOP_LEVEL, paths_of, role_of, standing_in


@transaction.atomic
def wish(*, role: str, profile: str, keys: Sequence[Key], threshold: int, actor: str) -> RoleWish:
    """Write down which keys ``role`` shall have; the same wish again changes nothing.

    A newer wish for a role takes the place of the older. Invalid where the threshold cannot be met.
    """
    if threshold and not 0 < threshold <= len({key.keyid for key in keys}) + bool(
        role.startswith(COSIGNED)
    ):
        raise Invalid(f"{role} cannot ask for {threshold} signatures of {len(keys)} keys.")
    body = write_keys(list(keys))
    last = open_wishes().filter(role=role).first()
    if last and (last.keys, last.threshold) == (body, threshold):
        return last
    open_wishes().filter(role=role).update(done_at=clock.now())
    audit.record(
        actor=actor,
        action="wish_keys",
        subject="role",
        subject_id=role,
        after={"keys": list(body), "threshold": threshold},
    )
    return RoleWish.objects.create(
        role=role,
        profile=profile,
        keys=body,
        threshold=threshold,
        made_at=clock.now(),
        made_by=actor,
    )


def open_wishes() -> QuerySet[RoleWish]:
    """Wishes that are not signed yet, the oldest first."""
    return RoleWish.objects.filter(done_at=None)


def apply(root: Root, targets: Targets) -> None:
    """Change both to what is wished for."""
    builders = _builders(targets)
    wanted = {wish.role: wish for wish in open_wishes()}
    for role, row in wanted.items():
        if role in TOP_LEVEL:
            set_keys(root, role, read_keys(row.keys), row.threshold)
        elif not role.startswith(COSIGNED):
            paths = [paths_of(row.profile)]
            set_keys(targets, role, read_keys(row.keys), row.threshold, paths)
    table = targets.delegations.roles or {} if targets.delegations else {}
    roles = {r for r in (*wanted, *table) if r.startswith(COSIGNED)}
    for role in sorted(roles):
        _apply_cosigned(targets, role, wanted.get(role), builders)


def mark_done(root: Root, targets: Targets) -> None:
    """Close the wishes that are fulfilled."""
    for row in open_wishes():
        if _is_fulfilled(row, root, targets):
            RoleWish.objects.filter(pk=row.pk).update(done_at=clock.now())


def _is_fulfilled(row: RoleWish, root: Root, targets: Targets) -> bool:
    found = standing_in(root if row.role in TOP_LEVEL else targets, row.role)
    if found is None:
        return row.threshold == 0
    keyids = set(found.keyids)
    if row.role.startswith(COSIGNED):
        builder = standing_in(targets, role_of(row.profile))
        keyids -= set(builder.keyids) if builder else set()
    return found.threshold == row.threshold and keyids == set(row.keys)


def _builders(targets: Targets) -> dict[str, set[str]]:
    table = targets.delegations.roles or {} if targets.delegations else {}
    return {name: set(role.keyids) for name, role in table.items()}


def _apply_cosigned(
    targets: Targets, role: str, row: RoleWish | None, before: dict[str, set[str]]
) -> None:
    """Persons as wished or as they are, and the keys that the builder has now."""
    profile = role.removeprefix(COSIGNED)
    builder, old = standing_in(targets, role_of(profile)), standing_in(targets, role)
    if row is not None:
        persons, threshold = read_keys(row.keys), row.threshold
    else:
        gone = before.get(role_of(profile), set())
        persons = [key for key in old.keys if key.keyid not in gone] if old else []
        threshold = old.threshold if old else 0
    if builder is None:
        if threshold:
            raise Invalid(f"Nobody signs for {profile} yet, so that nobody can sign as well.")
        return
    # The newest of the builder's keys alone: with two of them it could meet the threshold itself.
    keys = [*builder.keys[-1:], *persons]
    set_keys(targets, role, keys, threshold, [f"{profile}/releases/*"])
