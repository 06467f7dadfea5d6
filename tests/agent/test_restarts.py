"""How often a resident may die, and what a shadow may cost."""

from __future__ import annotations

import os
import time

from device_agent.inference.cpu_budget import CpuBudget, read_cpu_s
from device_agent.inference.restarts import RestartBudget

ONE, OTHER = "a" * 64, "b" * 64


def budget() -> RestartBudget:
    return RestartBudget(deaths=3, window_s=100, base_s=1, cap_s=60)


def test_the_budget_is_spent_by_the_last_allowed_death_and_not_before() -> None:
    deaths = budget()
    spent = []
    for at in (0, 10, 20):
        deaths.note_death(ONE, at)
        spent.append(deaths.is_spent)
    assert spent == [False, False, True]


def test_deaths_far_apart_do_not_add_up() -> None:
    deaths = budget()
    for at in (0, 60, 120):
        deaths.note_death(ONE, at)
    assert not deaths.is_spent
    deaths.note_death(ONE, 130)
    assert deaths.is_spent


def test_a_release_that_became_steady_begins_anew() -> None:
    deaths = budget()
    deaths.note_death(ONE, 0)
    deaths.note_death(ONE, 1)
    deaths.reset()
    deaths.note_death(ONE, 2)
    assert not deaths.is_spent


def test_no_release_pays_for_the_deaths_of_another() -> None:
    deaths = budget()
    for at, sha256 in enumerate((ONE, ONE, OTHER)):
        deaths.note_death(sha256, at)
    assert not deaths.is_spent


def shares(cpu: CpuBudget, load: float, windows: int) -> list[float]:
    """What is shared while every window costs ``load`` cores."""
    seen = []
    for window in range(windows + 1):
        cpu.observe(window * 3.0, window * 3.0 * load)
        seen.append(cpu.share)
    return seen


def test_a_cheap_shadow_is_soon_given_all_that_is_allowed_and_no_more() -> None:
    seen = shares(CpuBudget(max_share=0.4, max_cpu_share=0.5), load=0.1, windows=10)
    assert seen[0] < 0.4
    assert seen == sorted(seen)
    assert seen[-1] == 0.4


def test_an_overdrawn_budget_lowers_the_share_at_once() -> None:
    cpu = CpuBudget(max_share=0.4, max_cpu_share=0.5)
    first, second = shares(cpu, load=0.75, windows=1)
    assert second < first * 0.5 / 0.75


def test_a_shadow_that_costs_far_too_much_gets_nothing_until_it_has_calmed_down() -> None:
    cpu = CpuBudget(max_share=0.4, max_cpu_share=0.1)
    cpu.observe(0, 0)
    cpu.observe(3, 3)
    assert cpu.share == 0
    cpu.observe(6, 6)
    assert cpu.share == 0
    cpu.observe(9, 6)
    assert 0 < cpu.share < 0.05


def test_the_share_settles_where_the_budget_is() -> None:
    """A shadow whose cost follows its share: a tenth of the frames costs half a core."""
    cpu = CpuBudget(max_share=1.0, max_cpu_share=0.25)
    used = 0.0
    costs = []
    for window in range(40):
        cpu.observe(window * 3.0, used)
        costs.append(5 * cpu.share)
        used += 3.0 * costs[-1]
    assert sum(costs[10:]) / 30 <= 0.25
    assert sum(costs[10:]) / 30 > 0.1


def test_processor_seconds_are_those_of_the_process() -> None:
    before = read_cpu_s(os.getpid())
    assert before is not None
    ends_at = time.process_time() + 0.2
    while time.process_time() < ends_at:
        sum(range(1000))
    after = read_cpu_s(os.getpid())
    assert after is not None
    assert after - before >= 0.1


def test_a_process_that_is_gone_has_no_reading() -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    assert read_cpu_s(child) is None
