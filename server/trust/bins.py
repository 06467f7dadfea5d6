"""How the targets of a profile are spread over roles, so that a device fetches few bytes of them.

While a profile has few targets its own role lists them all. More are spread over bins: roles below
the profile's, signed with its key. An artifact and its certificate share a digest and a bin.
Pure functions; a place is a letter, of artifacts or of releases, and hex digits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from itertools import product

from tuf.api.metadata import DelegatedRole

BIN_TARGETS = 128
"""More than that, on average, and each bin becomes sixteen."""
MAX_DIGITS = 3
PLACE_DIGITS = 4
ARTIFACTS, RELEASES = "a", "r"
_FAMILIES = {"artifacts": ARTIFACTS, "certificates": ARTIFACTS, "releases": RELEASES}
_NAMES = {ARTIFACTS: "artifacts", RELEASES: "releases"}
_HEX = "0123456789abcdef"

Digits = Mapping[str, int]
"""By family: how many hex digits name a bin; 0 where the profile's role lists them itself."""


def place_of(path: str) -> str:
    """Where a target lies; empty for what is never spread, such as agents."""
    parts = path.split("/")
    family = _FAMILIES.get(parts[1], "") if len(parts) == 3 else ""
    if not family:
        return ""
    if family == ARTIFACTS:
        return family + parts[2][:PLACE_DIGITS]
    return family + hashlib.sha256(path.encode()).hexdigest()[:PLACE_DIGITS]


def digits_for(count: int) -> int:
    """So many that a bin has no more than ``BIN_TARGETS`` on average."""
    return next((d for d in range(MAX_DIGITS) if count <= BIN_TARGETS * 16**d), MAX_DIGITS)


def bins_of(family: str, digits: int) -> Iterator[str]:
    """Every place that a family of ``digits`` is cut into; none where it is not cut."""
    if digits:
        yield from (family + "".join(hexes) for hexes in product(_HEX, repeat=digits))


def role_of_bin(profile: str, place: str) -> str:
    """Name of a bin's role. No two are alike: hex digits end at the first dash."""
    return f"{_NAMES[place[0]]}-{place[1:]}-{profile}"


def delegated_bin(profile: str, place: str, keyids: list[str], threshold: int) -> DelegatedRole:
    """The bin as the profile's role lists it; terminating, as nobody else has its paths."""
    role, hexes = role_of_bin(profile, place), place[1:]
    if place[0] == RELEASES:
        return DelegatedRole(role, keyids, threshold, terminating=True, path_hash_prefixes=[hexes])
    paths = [f"{profile}/{folder}/{hexes}*" for folder in ("artifacts", "certificates")]
    return DelegatedRole(role, keyids, threshold, terminating=True, paths=paths)


def digits_in(profile: str, roles: Mapping[str, DelegatedRole]) -> dict[str, int]:
    """How a profile's role cuts its families, read from the bins that it delegates to."""
    found = {ARTIFACTS: 0, RELEASES: 0}
    for family, name in _NAMES.items():
        for role in roles:
            head, _, rest = role.partition("-")
            hexes, dash, owner = rest.partition("-")
            if head == name and dash and owner == profile:
                found[family] = len(hexes)
                break
    return found


def profile_of_bin(role: str) -> str | None:
    """The profile of a bin's role, or None for any other role."""
    head, _, rest = role.partition("-")
    hexes, dash, profile = rest.partition("-")
    is_bin = head in _NAMES.values() and dash and 0 < len(hexes) <= MAX_DIGITS
    return profile if is_bin and set(hexes) <= set(_HEX) else None
