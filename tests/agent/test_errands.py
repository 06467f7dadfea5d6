"""Errands: done when due, each patient for itself, none worth more than inference."""

from __future__ import annotations

import pytest

from device_agent.errands import Errands
from device_agent.errors import Unavailable
from inference_core.contract.device import Goal

GOAL = Goal(generation=1)


class _Errand:
    def __init__(self, name: str, *results: float | Exception) -> None:
        self.name, self._results, self.calls = name, list(results), 0

    def turn(self, goal: Goal) -> float:
        self.calls += 1
        result = self._results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result


def _errands(*errands: _Errand) -> Errands:
    return Errands(errands, retry_base_s=100.0, retry_cap_s=200.0)


def test_an_errand_is_called_when_it_is_due_and_when_the_goal_changes() -> None:
    errand = _Errand("a", 3600.0, 3600.0)
    errands = _errands(errand)
    assert 3599 < errands.turn(GOAL) <= 3600
    errands.turn(GOAL)
    assert errand.calls == 1
    errands.turn(Goal(generation=2))
    assert errand.calls == 2


@pytest.mark.parametrize(
    "error", [Unavailable("away"), OSError("disk"), ZeroDivisionError("a mistake")], ids=type
)
def test_an_errand_that_fails_waits_and_delays_no_other(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    broken, sound = _Errand("broken", error), _Errand("sound", 3600.0)
    wait_s = _errands(broken, sound).turn(GOAL)
    assert 0 <= wait_s <= 200
    assert sound.calls == 1
    assert "broken" in caplog.text


def test_a_mistake_in_an_errand_is_told_with_its_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    _errands(_Errand("broken", ZeroDivisionError("a mistake"))).turn(GOAL)
    assert "Traceback" in caplog.text
