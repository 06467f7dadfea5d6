"""Who is in which stage: pure arithmetic, the same for the same rollout every time."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from uuid import UUID

from server.lib.errors import Invalid
from server.rollouts.policy import MAX_STAGES, StagePlan


@dataclass(frozen=True)
class Candidate:
    """A device as far as planning cares."""

    device_id: UUID
    profile: str


def check_stages(stages: Sequence[StagePlan]) -> None:
    """Raise Invalid unless the stages grow, counts first, and end with the whole group."""
    if not stages:
        raise Invalid("A rollout has at least one stage; the last one is {'share': 1.0}.")
    if len(stages) > MAX_STAGES:
        raise Invalid(f"A rollout has at most {MAX_STAGES} stages, not {len(stages)}.")
    if stages[-1].share != 1.0:
        raise Invalid("The last stage reaches the whole group: {'share': 1.0}.")
    for number, (before, stage) in enumerate(pairwise(stages), start=2):
        if before.share is not None and stage.devices is not None:
            raise Invalid(f"Stage {number} is a count after a share: put counts first.")
        if _grows(before, stage) is False:
            raise Invalid(f"Stage {number} does not reach further than the stage before it.")


def _grows(before: StagePlan, stage: StagePlan) -> bool | None:
    """Whether the reach grows; None where that depends on the size of the group."""
    if before.devices is not None and stage.devices is not None:
        return stage.devices > before.devices
    if before.share is not None and stage.share is not None:
        return stage.share > before.share
    return None


def plan_sizes(stages: Sequence[StagePlan], devices: int, profiles: int) -> list[int]:
    """Devices up to and including each stage, in a group of ``devices`` with ``profiles``.

    Shares are met by largest remainder (Hamilton's method) over the devices that each stage
    adds; of equal remainders the earlier stage has the device. A first stage that is a share
    is widened to one device of each profile; one that is a count is a person's choice and
    stands (docs/decisions/0009-first-stage.md).
    """
    reach = [min(_reach(stage, devices), Fraction(devices)) for stage in stages]
    if stages[0].share is not None:
        reach[0] = max(reach[0], Fraction(min(profiles, devices)))
    for index in range(1, len(reach)):
        reach[index] = max(reach[index], reach[index - 1])
    added = _apportion([high - low for low, high in pairwise([Fraction(0), *reach])])
    return [sum(added[: index + 1]) for index in range(len(added))]


def check_sizes(sizes: Sequence[int], devices: int) -> None:
    """Raise Invalid where a stage would add no device: it would hold for ever."""
    for number, (before, size) in enumerate(pairwise([0, *sizes]), start=1):
        if size == before:
            raise Invalid(
                f"Stage {number} would add no device in a group of {devices}: "
                "leave the stage out, or let it reach further.",
                sizes=list(sizes),
            )


def _reach(stage: StagePlan, devices: int) -> Fraction:
    if stage.devices is not None:
        return Fraction(stage.devices)
    # Through the decimal text: 0.1 of ten is one device, and not one and a little.
    return devices * Fraction(str(stage.share))


def _apportion(quotas: Sequence[Fraction]) -> list[int]:
    """Whole numbers with the sum of ``quotas``, each within one of its own."""
    whole = [int(quota) for quota in quotas]
    left = int(sum(quotas)) - sum(whole)
    by_remainder = sorted(range(len(quotas)), key=lambda i: (whole[i] - quotas[i], i))
    for index in by_remainder[:left]:
        whole[index] += 1
    return whole


def order_devices(candidates: Iterable[Candidate], salt: str) -> list[UUID]:
    """All devices in the order in which they take part: one of each profile before the rest.

    The most frequent profile comes first, so that a stage of one device speaks for as many
    as it can. The salt makes another rollout start with other devices.
    """
    everyone = list(candidates)
    frequency = Counter(candidate.profile for candidate in everyone)
    by_digest = sorted(everyone, key=lambda candidate: _digest(candidate.device_id, salt))
    first = {candidate.profile: candidate for candidate in reversed(by_digest)}
    profiles = sorted(first, key=lambda profile: (-frequency[profile], profile))
    heads = [first[profile].device_id for profile in profiles]
    taken = set(heads)
    rest = [c.device_id for c in by_digest if c.device_id not in taken]
    return heads + rest


def _digest(device_id: UUID, salt: str) -> bytes:
    return hashlib.sha256(f"{salt}:{device_id}".encode()).digest()
