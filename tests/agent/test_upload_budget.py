"""The upload budget: never more than it says, whatever the clock and the power do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_agent.sampling.upload_budget import UploadBudget
from inference_core.contract.device import DeviceConfig
from inference_core.contract.sampling import SampleReason, SamplingPolicy
from inference_core.contract.serve import Camera

DAY_S = 86_400.0
REASONS: tuple[SampleReason, ...] = ("random", "uncertain", "disagreement", "diverse")


@dataclass
class Box:
    """A machine with a clock of its own, and a file that survives."""

    folder: Path
    policy: SamplingPolicy
    now_s: float = 1000.0
    boot: int = 1
    sample_every_s: float = 10.0

    def __post_init__(self) -> None:
        self.budget = self.start()

    def start(self) -> UploadBudget:
        self.budget = UploadBudget(
            self.folder / "budget.json",
            self.device,
            boot_id=str(self.boot),
            clock_s=lambda: self.now_s,
        )
        return self.budget

    def reboot(self, now_s: float = 5.0) -> UploadBudget:
        self.boot += 1
        self.now_s = now_s
        return self.start()

    def device(self) -> DeviceConfig:
        camera = Camera(name="top", address="file:///x", frames_per_s=10)
        return DeviceConfig(
            cameras=(camera,), sample_every_s=self.sample_every_s, sampling=self.policy
        )

    def spend(self, reason: SampleReason, size_bytes: int, most: int = 10_000) -> int:
        """Grants until it says no; how many there were."""
        for count in range(most):
            if not self.budget.grant(reason, size_bytes):
                return count
        return most


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path, SamplingPolicy(bytes_per_day=1_000_000))


def test_a_new_device_has_a_days_budget_divided_by_the_policy(box: Box) -> None:
    assert box.spend("uncertain", 10_000) == 60
    assert box.spend("random", 10_000) == 40


def test_random_samples_may_take_what_is_left_for_chosen_ones_and_not_the_other_way(
    box: Box,
) -> None:
    assert box.spend("random", 10_000) == 100
    assert box.spend("diverse", 10_000) == 0


def test_it_fills_in_a_day_of_the_machines_own_time(box: Box) -> None:
    box.spend("random", 10_000)
    box.now_s += DAY_S / 4
    assert box.spend("diverse", 10_000) == pytest.approx(15, abs=1)
    box.now_s += 10 * DAY_S
    assert box.spend("diverse", 10_000) == 60


def test_a_picture_larger_than_what_is_left_is_granted_whole_and_paid_back(box: Box) -> None:
    assert box.budget.grant("uncertain", 1_200_000)  # two days' worth of its account
    box.now_s += 0.9 * DAY_S
    assert not box.budget.grant("uncertain", 1)
    box.now_s += 0.2 * DAY_S
    assert box.budget.grant("uncertain", 1)


def test_a_policy_without_bytes_grants_nothing(tmp_path: Path) -> None:
    box = Box(tmp_path, SamplingPolicy(bytes_per_day=0))
    assert not any(box.budget.grant(reason, 1) for reason in REASONS)
    assert box.budget.find_rates().random == 0


def test_a_power_cut_costs_a_hundredth_of_the_budget_and_gives_nothing(box: Box) -> None:
    granted = sum(box.budget.grant("uncertain", 10_000) for _ in range(20))
    box.reboot()
    again = box.spend("uncertain", 10_000)
    assert 58 <= granted + again <= 60


def test_an_orderly_restart_costs_nothing(box: Box) -> None:
    granted = sum(box.budget.grant("uncertain", 10_000) for _ in range(20))
    box.budget.close()
    box.start()
    assert granted + box.spend("uncertain", 10_000) == 60


def test_the_agents_own_restart_does_not_stop_the_time(box: Box) -> None:
    box.spend("uncertain", 10_000)
    box.now_s += DAY_S / 2
    box.start()
    assert box.spend("uncertain", 10_000) == pytest.approx(30, abs=1)


def test_a_file_that_cannot_be_read_grants_nothing_at_first(box: Box) -> None:
    box.budget.close()
    (box.folder / "budget.json").write_text("{")
    box.start()
    assert not box.budget.grant("random", 1)
    box.now_s += DAY_S
    assert box.budget.grant("random", 1)


def test_a_disk_that_takes_nothing_grants_nothing(box: Box) -> None:
    (box.folder / "budget.json").mkdir()
    for _ in range(2):
        with pytest.raises(OSError, match=r"budget\.json"):
            box.budget.grant("random", 1)


def test_the_file_is_written_for_every_hundredth_and_not_for_every_picture(box: Box) -> None:
    writes = set[str]()
    for _ in range(600):
        assert box.budget.grant("uncertain", 1000)
        writes.add((box.folder / "budget.json").read_text())
    assert len(writes) <= 100


def test_a_full_budget_allows_all_that_is_wanted_and_a_half_full_one_what_flows_in(
    box: Box,
) -> None:
    box.policy = SamplingPolicy(bytes_per_day=10_000_000)
    assert box.budget.find_rates().chosen == 1
    for _ in range(30):
        assert box.budget.grant("uncertain", 100_000)
    rates = box.budget.find_rates()
    assert rates.random == 1
    wanted_bytes_s = 0.6 / 0.4 / box.sample_every_s * 100_000
    assert rates.chosen * wanted_bytes_s == pytest.approx(6_000_000 / DAY_S)


def test_a_rate_falls_with_its_account_and_ends_at_nothing(box: Box) -> None:
    rates = [box.budget.find_rates().chosen]
    while box.budget.grant("uncertain", 20_000):
        rates.append(box.budget.find_rates().chosen)
    assert rates[0] == 1
    assert rates[-1] == 0
    assert rates == sorted(rates, reverse=True)


def test_without_bytes_for_random_samples_the_floor_is_left_as_long_as_there_are_others(
    box: Box,
) -> None:
    box.policy = SamplingPolicy(bytes_per_day=1_000_000, random_share=0)
    assert 0 < box.budget.find_rates().random < 1e-6
    box.spend("random", 10_000)
    assert box.budget.find_rates().random == 0


def test_in_the_long_run_each_account_spends_its_share_of_the_budget(box: Box) -> None:
    """As a child would draw: so many of the wanted samples as the rates allow."""
    spent, size, step_s = dict.fromkeys(("random", "uncertain"), 0.0), 20_000, 300.0
    owed = dict(spent)
    for step in range(int(20 * DAY_S / step_s)):
        rates = box.budget.find_rates()
        owed["random"] += rates.random * step_s / box.sample_every_s
        owed["uncertain"] += rates.chosen * 1.5 * step_s / box.sample_every_s
        for reason in REASONS[:2]:
            while owed[reason] >= 1:
                owed[reason] -= 1
                if box.budget.grant(reason, size) and step > 10 * DAY_S / step_s:
                    spent[reason] += size
        box.now_s += step_s
    assert spent["random"] == pytest.approx(10 * 400_000, rel=0.05)
    assert spent["uncertain"] == pytest.approx(10 * 600_000, rel=0.05)


_EVENTS = st.one_of(
    st.tuples(st.just("wait"), st.floats(0, 2 * DAY_S)),
    st.tuples(st.just("upload"), st.tuples(st.sampled_from(REASONS), st.integers(1, 800_000))),
    st.tuples(st.just("drain"), st.sampled_from(REASONS)),
    st.tuples(st.just("kill"), st.none()),
    st.tuples(st.just("stop"), st.none()),
    st.tuples(st.just("reboot"), st.floats(0, 10_000 * DAY_S)),
)


@settings(max_examples=150, deadline=None)
@given(schedule=st.lists(_EVENTS, max_size=40), bytes_per_day=st.integers(1, 2_000_000))
def test_no_schedule_gets_more_than_the_days_that_passed_and_one_day_and_a_picture_each(
    schedule: list, bytes_per_day: int
) -> None:
    """A reboot may find the machine's clock anywhere: only time that was lived counts."""
    with TemporaryDirectory() as folder:
        box = Box(Path(folder), SamplingPolicy(bytes_per_day=bytes_per_day))
        granted, lived_s, largest = 0, 0.0, 0
        for word, value in schedule:
            if word == "wait":
                box.now_s += value
                lived_s += value
            elif word == "upload":
                granted += value[1] if box.budget.grant(*value) else 0
                largest = max(largest, value[1])
            elif word == "drain":
                size = max(1, bytes_per_day // 20)
                granted += size * box.spend(value, size)
                largest = max(largest, size)
            elif word == "stop":
                box.budget.close()
                box.start()
            elif word == "kill":
                box.start()
            else:
                box.reboot(value)
            assert granted <= bytes_per_day * (lived_s / DAY_S + 1) * (1 + 1e-9) + 2 * largest
