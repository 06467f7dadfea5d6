"""What one profile vouches for, signed: its role, and the bins that the role leaves the rest to."""

from __future__ import annotations

from collections.abc import Collection

from tuf.api.metadata import DelegatedRole, Targets

from server.lib import clock
from server.trust import bins, repository, storing
from server.trust.repository import cosigned_role
from server.trust.selectors import newest, served_targets


def store_profile(profile: str, changed: Collection[str] | None = None) -> None:
    """Sign what a profile vouches for, or only what holds the ``changed`` places."""
    _ProfileWriter(profile).write(changed)


class _ProfileWriter:
    """Writes the role of one profile and its bins; loads its key once."""

    def __init__(self, profile: str) -> None:
        self._profile, self._role = profile, storing.role_of(profile)
        found = storing.standing(self._role)
        self._signers = storing.local_signers(self._role, found)
        self._keys, self._threshold = (found.keys, found.threshold) if found else ((), 1)
        rows = served_targets().filter(profile=profile)
        is_cosigned = storing.standing(cosigned_role(profile)) is not None
        self._rows = rows.exclude(place__startswith=bins.RELEASES) if is_cosigned else rows
        self._expires = repository.expiry(self._role, clock.now())

    def write(self, changed: Collection[str] | None) -> None:
        before = self._digits_before()
        digits = {family: max(before[family], self._digits(family)) for family in before}
        if changed is None or digits != before or not storing.is_current(self._role):
            self._write_top(digits)
            changed = None
        elif any(not digits.get(place[:1], 0) for place in changed):
            self._write_top(digits)
        for family, count in digits.items():
            wanted = {place[: count + 1] for place in changed} if changed is not None else None
            for place in bins.bins_of(family, count):
                if wanted is None or place in wanted:
                    self._write_bin(place)

    def _digits_before(self) -> dict[str, int]:
        table: dict[str, DelegatedRole] = {}
        if newest(self._role) is not None:
            signed = storing.read(self._role)
            if isinstance(signed, Targets) and signed.delegations:
                table = signed.delegations.roles or {}
        return bins.digits_in(self._profile, table)

    def _digits(self, family: str) -> int:
        return bins.digits_for(self._rows.filter(place__startswith=family).count())

    def _write_top(self, digits: bins.Digits) -> None:
        rows = self._rows
        for family, count in digits.items():
            if count:
                rows = rows.exclude(place__startswith=family)
        keyids = [key.keyid for key in self._keys]
        # Bins of artifacts go first: those of releases are told by hashes, which any path may have.
        delegated = [
            bins.delegated_bin(self._profile, place, list(keyids), self._threshold)
            for family, count in digits.items()
            for place in bins.bins_of(family, count)
        ]
        signed = repository.make_profile_targets(
            storing.to_sign(rows), self._expires, delegated, self._keys
        )
        storing.store(self._role, signed, self._signers)

    def _write_bin(self, place: str) -> None:
        rows = storing.to_sign(self._rows.filter(place__startswith=place))
        signed = repository.make_profile_targets(rows, self._expires)
        storing.store(bins.role_of_bin(self._profile, place), signed, self._signers)
