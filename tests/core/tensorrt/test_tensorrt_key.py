from __future__ import annotations

from typing import Any

import pytest

from inference_core.contract.build import TensorRtProfile
from inference_core.tensorrt.key import EngineRecipe, engine_key

ORIN: dict[str, Any] = {
    "source_sha256": "a" * 64,
    "manifest_sha256": "b" * 64,
    "precision": "int8",
    "calibration_sha256": "c" * 64,
    "tensorrt": "10.3.0.26",
    "compute_capabilities": ["8.7"],
    "device_name": "Orin",
    "l4t": "36.4.3",
    "cuda": "12.6",
    "architecture": "aarch64",
    "profile": {},
}


def key(**changes: Any) -> str:
    return engine_key(EngineRecipe.model_validate({**ORIN, **changes}))


def test_equal_recipes_have_equal_keys() -> None:
    assert key() == key(compute_capabilities=("8.7",), profile=TensorRtProfile())


@pytest.mark.parametrize(
    "change",
    [
        {"source_sha256": "d" * 64},
        {"manifest_sha256": "d" * 64},
        {"precision": "fp16"},
        {"calibration_sha256": "d" * 64},
        {"tensorrt": "10.3.0.30"},
        {"compute_capabilities": ["8.6"]},
        {"compute_capabilities": ["8.6", "8.7"]},
        {"device_name": "NVIDIA GeForce RTX 3060"},
        {"l4t": "36.5.0"},
        {"l4t": ""},
        {"cuda": "12.8"},
        {"architecture": "x86_64"},
        {"profile": {"flavour": "rtx"}},
        {"profile": {"version": "10.3"}},
        {"profile": {"hardware_compatibility": "ampere_plus"}},
        {"profile": {"dla_core": 0}},
        {"profile": {"dla_core": 1}},
        {"profile": {"workspace_bytes": 1 << 30}},
        {"profile": {"optimisation_level": 5}},
        {"profile": {"batch": {"minimum": 1, "optimal": 1, "maximum": 8}}},
        {"profile": {"batch": {"minimum": 1, "optimal": 4, "maximum": 8}}},
        {"profile": {"batch": {"minimum": 2, "optimal": 4, "maximum": 8}}},
        {"profile": {"batch": {"minimum": 1, "optimal": 4, "maximum": 16}}},
    ],
    ids=str,
)
def test_every_part_changes_the_key(change: dict[str, Any]) -> None:
    assert key(**change) != key()


def test_every_part_is_tried_above() -> None:
    """A new field of the recipe must be given a line there."""
    tried = set(ORIN)
    assert tried == set(EngineRecipe.model_fields)


def test_no_two_changes_collide() -> None:
    changes = [{"device_name": "Orin8.7"}, {"l4t": "8.7"}, {"cuda": "8.7"}, {"tensorrt": "8.7"}]
    assert len({key(**change) for change in changes}) == len(changes)
