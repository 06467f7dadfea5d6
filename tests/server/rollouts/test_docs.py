"""The operator's page keeps up with the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from inference_core.contract.device import ProbationLimits
from server.rollouts.policy import RolloutPolicy
from server.rollouts.states import StageState

PAGE = (Path(__file__).parents[3] / "docs" / "rollouts.md").read_text()


@pytest.mark.parametrize("field", RolloutPolicy.model_fields)
def test_every_field_of_the_policy_is_on_the_page(field: str) -> None:
    assert f"`{field}`" in PAGE


@pytest.mark.parametrize("field", ProbationLimits.model_fields)
def test_every_limit_of_the_probation_is_on_the_page(field: str) -> None:
    assert f"| `{field}` |" in PAGE


@pytest.mark.parametrize("state", StageState.values)
def test_every_state_of_a_stage_is_on_the_page(state: str) -> None:
    assert state in PAGE
