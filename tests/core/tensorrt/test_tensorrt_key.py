from __future__ import annotations

from typing import Any

import pytest

from inference_core.contract.build import TensorRtProfile
from inference_core.contract.recipe import key_of
from inference_core.optimize.recipe import EngineRecipe, Toolchain

ORIN_TOOLCHAIN: dict[str, Any] = {
    "runtime_version": "10.3.0.26",
    "tools": {"onnx": "1.21.0", "onnxruntime": "1.32.0"},
    "compute_capabilities": ["8.7"],
    "device_name": "Orin",
    "l4t": "36.4.3",
    "cuda": "12.6",
}
ORIN: dict[str, Any] = {
    "source_sha256": "a" * 64,
    "manifest_sha256": "b" * 64,
    "precision": "int8",
    "calibration_sha256": "c" * 64,
    "runtime": "tensorrt",
    "architecture": "aarch64",
    "accelerator": "",
    "profile": {},
    "toolchain": ORIN_TOOLCHAIN,
}


def key(**changes: Any) -> str:
    tools = {name: changes.pop(name) for name in set(changes) & set(ORIN_TOOLCHAIN)}
    toolchain = {**ORIN_TOOLCHAIN, **tools}
    return key_of(EngineRecipe.model_validate({**ORIN, "toolchain": toolchain, **changes}))


def test_equal_recipes_have_equal_keys() -> None:
    turned = dict(reversed(ORIN_TOOLCHAIN["tools"].items()))
    same = key(compute_capabilities=("8.7",), profile=TensorRtProfile(), tools=turned)
    assert key() == same


@pytest.mark.parametrize(
    "change",
    [
        {"source_sha256": "d" * 64},
        {"manifest_sha256": "d" * 64},
        {"precision": "fp16"},
        {"calibration_sha256": "d" * 64},
        {"runtime": "onnxruntime"},
        {"accelerator": "edgetpu"},
        {"runtime_version": "10.3.0.30"},
        {"tools": {"onnx": "1.21.0", "onnxruntime": "1.32.1"}},
        {"compute_capabilities": ["8.6"]},
        {"compute_capabilities": ["8.6", "8.7"]},
        {"device_name": "NVIDIA GeForce RTX 3060"},
        {"l4t": "36.5.0"},
        {"l4t": ""},
        {"cuda": "12.8"},
        {"architecture": "x86_64"},
        {"profile": None},
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
    assert set(ORIN) == set(EngineRecipe.model_fields)
    assert set(ORIN_TOOLCHAIN) == set(Toolchain.model_fields)


def test_no_two_changes_collide() -> None:
    changes = [{"device_name": "Orin8.7"}, {"l4t": "8.7"}, {"cuda": "8.7"}]
    changes += [{"runtime_version": "8.7"}, {"tools": {"onnx": "8.7"}}]
    assert len({key(**change) for change in changes}) == len(changes)
