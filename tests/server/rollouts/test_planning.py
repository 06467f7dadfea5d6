"""Sizes and order: who is in which stage."""

from __future__ import annotations

from collections import Counter
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.lib.errors import Invalid
from server.rollouts.planning import (
    Candidate,
    check_sizes,
    check_stages,
    order_devices,
    plan_sizes,
)
from server.rollouts.policy import StagePlan


def stages(*reach: float) -> list[StagePlan]:
    return [
        StagePlan(devices=item) if isinstance(item, int) else StagePlan(share=item)
        for item in reach
    ]


SHARES = st.lists(st.sampled_from([n / 100 for n in range(1, 100)]), unique=True, max_size=5)


@given(shares=SHARES, devices=st.integers(1, 5000), profiles=st.integers(1, 5))
def test_stages_never_shrink_and_the_last_one_is_everybody(
    shares: list[float], devices: int, profiles: int
) -> None:
    sizes = plan_sizes(stages(*sorted(shares), 1.0), devices, profiles)
    assert sizes == sorted(sizes)
    assert sizes[-1] == devices


@given(shares=SHARES, devices=st.integers(1, 5000))
def test_each_stage_is_within_one_device_of_its_exact_share(
    shares: list[float], devices: int
) -> None:
    shares = [*sorted(shares), 1.0]
    sizes = [0, *plan_sizes(stages(*shares), devices, 1)]
    # The first stage may be widened to one device, which its successor then gives.
    for index in range(2, len(shares)):
        exact = devices * (shares[index] - shares[index - 1])
        assert abs(sizes[index + 1] - sizes[index] - exact) < 1 + 1e-6


def test_remainders_go_to_the_largest() -> None:
    assert plan_sizes(stages(0.15, 0.5, 1.0), 11, 1) == [2, 6, 11]
    assert plan_sizes(stages(0.1, 1.0), 10, 1) == [1, 10]


def test_a_count_is_met_exactly() -> None:
    assert plan_sizes(stages(1, 5, 0.5, 1.0), 15, 3) == [1, 5, 8, 15]


def test_a_first_stage_by_share_has_a_device_of_each_profile() -> None:
    assert plan_sizes(stages(0.01, 1.0), 100, 3) == [3, 100]


def test_a_first_stage_by_count_stays_as_small_as_it_was_chosen() -> None:
    assert plan_sizes(stages(1, 1.0), 3, 3) == [1, 3]


@pytest.mark.parametrize(
    ("reach", "hint"),
    [
        ((), "at least one stage"),
        ((0.5,), "whole group"),
        ((3,), "whole group"),
        ((0.5, 0.5, 1.0), "further"),
        ((5, 2, 1.0), "further"),
        ((0.2, 5, 1.0), "counts first"),
        ((*[n / 100 for n in range(1, 30)], 1.0), "at most"),
    ],
)
def test_it_refuses_stages_that_cannot_be(reach: tuple[float, ...], hint: str) -> None:
    with pytest.raises(Invalid, match=hint):
        check_stages(stages(*reach))


def test_it_refuses_a_stage_that_would_add_nobody() -> None:
    with pytest.raises(Invalid, match="Stage 2 would add no device in a group of 3"):
        check_sizes(plan_sizes(stages(3, 1.0), 3, 1), 3)


@pytest.mark.parametrize(
    "body", [{}, {"devices": 1, "share": 0.5}, {"devices": 0}, {"share": 1.1}, {"size": 3}]
)
def test_a_stage_is_a_count_or_a_share(body: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="StagePlan"):
        StagePlan.model_validate(body)


def fleet(profiles: list[str]) -> list[Candidate]:
    return [Candidate(uuid4(), profile) for profile in profiles]


@given(st.lists(st.sampled_from(["jetson", "pi", "x86"]), min_size=1, max_size=40), st.text())
def test_one_of_each_profile_goes_before_the_rest(profiles: list[str], salt: str) -> None:
    devices = fleet(profiles)
    order = order_devices(devices, salt)
    profile_of = {device.device_id: device.profile for device in devices}
    kinds = len(set(profiles))
    assert sorted(order) == sorted(profile_of)
    assert len({profile_of[device_id] for device_id in order[:kinds]}) == kinds
    frequency = Counter(profiles)
    assert frequency[profile_of[order[0]]] == max(frequency.values())


def test_the_order_depends_on_nothing_but_the_devices_and_the_salt() -> None:
    devices = [Candidate(UUID(int=n), "x86") for n in range(50)]
    assert order_devices(devices, "a") == order_devices(reversed(devices), "a")
    assert order_devices(devices, "a") != order_devices(devices, "b")
